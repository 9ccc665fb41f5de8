"""Texts of given lengths and small folders as sentence-transformers, PyLate and Stanford's ColBERT write them."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken

from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES
from modernbert.model.heads import MaskedLM, SequenceClassifier
from modernbert.model.store import fresh, save
from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import SPECIAL
from modernbert.train.start import with_vocabulary
from support.texts import CORPUS, small_tokenizer, small_tokenizer_folder

LENGTHS = (1, 2, 63, 64, 65, 66, 127, 128, 129, 130, 600)
"""Tokens, special ones aside: around the window's reach, and far beyond."""


def long_tokenizer(*markers: str) -> Tokenizer:
    """`small_tokenizer` for texts of 1,024 tokens, with the markers of late interaction among its tokens."""
    fast = tokenizers.Tokenizer.from_file(str(small_tokenizer_folder() / "tokenizer.json"))
    fast.add_tokens([AddedToken(marker, normalized=False, special=False) for marker in markers])
    return Tokenizer(fast, SPECIAL, longest=1024)


def texts_of(lengths: Sequence[int] = LENGTHS) -> list[str]:
    """An empty text, and one of each length, each beginning elsewhere."""
    whole = CORPUS * 4
    found = [""]
    for number, length in enumerate(lengths):
        text = whole[number * 37 :]
        spans = small_tokenizer().encode([text], special=False, offsets=True).offsets[0]
        found.append(text[: spans[length - 1][1]])
    return found


def write_model(folder: Path, kind: type = MaskedLM, *, markers: Sequence[str] = (), **changes: object) -> Path:
    """A plain model folder for texts of 1,024 tokens, with room in the vocabulary for the markers."""
    tokenizer = long_tokenizer(*markers)
    config = with_vocabulary(SIZES["tiny"], Vocabulary.of(tokenizer))
    model = fresh(type(config)(**{name: getattr(config, name) for name in config.__slots__} | changes), kind, seed=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    save(model, folder)
    tokenizer.save(folder)
    return folder


def write_classifier(folder: Path, num_labels: int) -> Path:
    return write_model(folder, SequenceClassifier, labels=tuple(f"LABEL_{i}" for i in range(num_labels)))


def write_pylate(folder: Path, *, widths: Sequence[int] = (32,), **settings: object) -> Path:
    """As `pylate.models.ColBERT.save_pretrained`: [Q] and [D] are added tokens with their space, and nothing is normalised."""
    write_model(folder, markers=("[Q] ", "[D] "))
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    before = 128
    for number, width in enumerate(widths, start=1):
        own = folder / f"{number}_Dense"
        own.mkdir()
        config = {
            "in_features": before,
            "out_features": width,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
            "use_residual": number < len(widths),
        }
        (own / "config.json").write_text(json.dumps(config))
        generator = torch.Generator().manual_seed(number)
        tensors = {"linear.weight": torch.randn(width, before, generator=generator)}
        if config["use_residual"] and width != before:
            tensors["residual.weight"] = torch.randn(width, before, generator=generator)
        save_file(tensors, own / "model.safetensors")
        modules.append({"idx": number, "name": str(number), "path": own.name, "type": "pylate.models.Dense.Dense"})
        before = width
    whole = {
        "model_type": "ColBERT",
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 32,
        "document_length": 300,
        "attend_to_expansion_tokens": False,
        "skiplist_words": [",", "."],
        "do_query_expansion": True,
        **settings,
    }
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(whole))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 299, "do_lower_case": False}))
    return folder


def write_stanford(folder: Path, **metadata: object) -> Path:
    """As Stanford's ColBERT saves: the projection lies among the encoder's weights."""
    write_model(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    tensors = {
        name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if name.startswith("model.")
    }
    tensors["linear.weight"] = torch.randn(24, 128, generator=torch.Generator().manual_seed(5))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "artifact.metadata").write_text(json.dumps(metadata))
    return folder


def copied(source: Path, target: Path) -> Path:
    """A folder to be changed."""
    shutil.copytree(source, target)
    return target
