"""A package of models in a folder of the test's own: a small trunk named `wee`, and heads on it that PEFT has made."""

import json
import warnings
from pathlib import Path

import peft
import pytest
import torch
import transformers

from modernbert.core import packaged
from modernbert.core.files import content_hash
from support.small import small_checkpoint

CARD = """---
pipeline_tag: {task}
---

# wee

A wee model for tests. It knows nothing.
"""


def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *heads: str) -> Path:
    """Folder of the trunk `wee`, with these heads; it is the only packaged model."""
    folder = tmp_path / "models" / "wee"
    small_checkpoint(folder)
    (folder / "README.md").write_text(CARD.format(task="fill-mask"))
    monkeypatch.setattr(packaged, "FOLDER", tmp_path / "models")
    packaged._checked.cache_clear()
    packaged.sign(folder)
    for head in heads:
        own = folder / "heads" / head
        adapter(folder, own, base="wee")
        (own / "README.md").write_text(CARD.format(task="sentence-similarity"))
        packaged.sign(own)
    return folder


def adapter(
    trunk: Path, out: Path, *, architecture: str = "ModernBertModel", base: str | None = None, **settings: object
) -> torch.nn.Module:
    """A LoRA adapter on every linear layer, with random numbers where PEFT begins with zeros; returns PEFT's model."""
    torch.manual_seed(3)
    saved = None if architecture == "ModernBertModel" else ["classifier"]
    stock = getattr(transformers, architecture).from_pretrained(trunk, dtype=torch.float32, attn_implementation="eager")
    chosen = {"r": 4, "lora_alpha": 6, "target_modules": ["Wqkv", "Wo", "Wi"], "modules_to_save": saved} | settings
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is deprecated and will be removed in v6")  # peft's own use of it
        model = peft.get_peft_model(stock, peft.LoraConfig(**chosen))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape))
    model.save_pretrained(out)
    written = json.loads((out / "adapter_config.json").read_text())
    written |= {"base_model_name_or_path": base or str(trunk), "revision": content_hash(trunk / "model.safetensors")}
    (out / "adapter_config.json").write_text(json.dumps(written))
    config = json.loads((trunk / "config.json").read_text()) | {"architectures": [architecture]}
    (out / "config.json").write_text(json.dumps(config))
    return model.eval()
