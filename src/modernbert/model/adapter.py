"""Adapters as PEFT stores them: a head is what it changes in a model, not one more copy of it.

LoRA (Hu et al., arXiv 2106.09685) adds a product of two thin matrices to a weight, W + alpha / r * B A. It is added once,
when the model is loaded: afterwards the model is like any other, and as fast. Parts that were trained whole, such as
a classifier, lie beside the thin matrices.

For adapters over ModernBERT's linear layers; DoRA, adapted embeddings and ranks that differ by layer are PEFT's own
business (`merge_and_unload`, then save the whole model).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.model.adapter_config import CONFIG, read_settings
from modernbert.model.heads import PARTS

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_SHA256 = re.compile("[0-9a-f]{64}")
_FOREIGN = (
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "layer_replication",
    "trainable_token_indices",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What a folder of PEFT's holds."""

    folder: Path
    base: str
    """The model it belongs to: a packaged name, a folder or a Hub id."""
    revision: str | None
    """Hash of that model's weights; absent in adapters that others made, where PEFT keeps a branch or commit of the Hub."""
    scale: float
    """alpha / r, or alpha / sqrt(r)."""
    tensors: Mapping[str, Tensor]
    """Without PEFT's prefix."""


def read_adapter(folder: Path) -> Adapter:
    """Read it, and refuse what `merge` would get wrong.

    Raises:
        CheckpointError: a file is missing or damaged.
        UnsupportedError: it is no plain LoRA.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    settings = read_settings(folder)
    foreign = [name for name in _FOREIGN if settings.get(name)]
    if settings.get("peft_type") != "LORA" or foreign:
        found = ", ".join(foreign) or f"peft_type {settings.get('peft_type')!r}"
        raise UnsupportedError(
            f"{folder / CONFIG}: found {found}, expected plain LoRA: merge it with PEFT (merge_and_unload) and save the model"
        )
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / WEIGHTS} cannot be read ({error}): fetch or write it again") from None
    rank, alpha = settings["r"], settings["lora_alpha"]
    return Adapter(
        folder=folder,
        base=str(settings["base_model_name_or_path"]),
        revision=revision if _SHA256.fullmatch(revision := str(settings.get("revision"))) else None,
        scale=alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank),
        tensors={name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()},
    )


@torch.no_grad()
def merge(weights: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """A model's weights with an adapter's changes in them; float32 where something changed.

    Args:
        weights: by name, the encoder's with `model.` in front or without.

    Raises:
        CheckpointError: the adapter changes what the model does not have, or in another shape.
    """
    merged = dict(weights)
    inside = "model." if any(name.startswith("model.") for name in weights) else ""
    for name, tensor in adapter.tensors.items():
        own = name if name.split(".")[0] in PARTS else inside + name.removeprefix("model.")
        module, is_thin, side = own.partition(".lora_")
        if not is_thin:
            merged[own] = tensor
        elif side == "B.weight":
            merged[f"{module}.weight"] = _changed(merged, f"{module}.weight", name, adapter)
    return merged


def _changed(weights: Mapping[str, Tensor], own: str, name: str, adapter: Adapter) -> Tensor:
    up_OR, down_RI = adapter.tensors[name].float(), adapter.tensors.get(name.replace(".lora_B.", ".lora_A."))
    weight_OI = weights.get(own)
    shape = None if down_RI is None else (up_OR.shape[0], down_RI.shape[1])
    if weight_OI is None or down_RI is None or tuple(weight_OI.shape) != shape:
        found = "no such weight" if weight_OI is None else f"a weight of shape {tuple(weight_OI.shape)}"
        raise CheckpointError(
            f"{adapter.folder}: {name} changes {own} by a matrix of shape {shape}, found {found} in {adapter.base}: "
            "the adapter belongs to another model"
        )
    return weight_OI.float() + adapter.scale * (up_OR @ down_RI.float())
