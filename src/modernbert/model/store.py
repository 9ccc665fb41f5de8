"""Weights in and out of folders: strict keys both ways, tied weights, atomic writes.

A folder is the Hub's: config.json and model.safetensors (or shards with an index). Tensor names are the modules' own,
so there is no mapping; a bare encoder is stored without the `model.` that it has inside a task model, as stock does.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast, overload

import torch
from torch import Tensor, nn

from modernbert.core.dtypes import DtypeName
from modernbert.core.errors import CheckpointError, UserError
from modernbert.core.files import content_hash, write_atomically
from modernbert.core.log import say
from modernbert.model.adapter import merge, read_adapter
from modernbert.model.adapter_config import is_adapter
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.encoder import Encoder
from modernbert.model.folder import weight_files
from modernbert.model.heads import ARCHITECTURES, PARTS, MaskedLM, Model
from modernbert.model.hf_config import from_file, to_mapping
from modernbert.model.hub import folder_of
from modernbert.model.init import draw, initialize
from modernbert.model.precision import best_precision
from modernbert.model.quantize import quantize

Kind = TypeVar("Kind", Encoder, MaskedLM, nn.Module)
Dtype = torch.dtype | DtypeName
_log = logging.getLogger(__name__)


@overload
def load(
    source: str | Path,
    kind: None = None,
    *,
    dtype: Dtype = "auto",
    device: str = "cpu",
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> Model: ...
@overload
def load(
    source: str | Path,
    kind: type[Kind],
    *,
    dtype: Dtype = "auto",
    device: str = "cpu",
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> Kind: ...
def load(
    source: str | Path,
    kind: type[nn.Module] | None = None,
    *,
    dtype: Dtype = "auto",
    device: str = "cpu",
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> nn.Module:
    """A model in evaluation mode: packaged, from a folder, from a Hub id, or a named size with fresh weights.

    Args:
        source: a packaged model ("nano"), one with a head on it ("nano:embedding"), a folder, an id such as
            "answerdotai/ModernBERT-base", or a size: tiny, 17m, 32m, 68m, base, large, 1b. A folder may hold a LoRA
            adapter as PEFT writes it; it is merged into the model that it names.
        kind: what to make of it. By default what the folder says it is (a size: `MaskedLM`). Another kind takes the
            encoder and every part of the head that fits by name; what it leaves out or draws anew is said.
        dtype: "auto" is bfloat16 where the hardware multiplies it, else float32 (`modernbert doctor` says why).
            Train in float32. "int8" is float32 with the layers' matrices in 8 bits, see `quantize`; CPUs only.
        seed: for weights that are drawn.
        labels: what a classifier shall tell apart; absent: what the folder says. Others than the folder's are drawn anew.

    Raises:
        CheckpointError: files missing or damaged, or tensors that do not fit: too many, too few, or of another shape.
        UnsupportedError: int8 is asked for, and the CPU kernels cannot run this model.
    """
    precision = best_precision(device)
    if dtype == "auto":
        _log.info("%s: %s, because %s", source, precision.name, precision.reason)
    wanted = precision.dtype if dtype == "auto" else _numbers(dtype)
    model = _load(source, kind, wanted, device=device, seed=seed, labels=None if labels is None else tuple(labels))
    return quantize(model) if dtype == "int8" else model


def _load(
    source: str | Path,
    kind: type[nn.Module] | None,
    wanted_dtype: torch.dtype,
    *,
    device: str,
    seed: int,
    labels: tuple[str, ...] | None,
) -> nn.Module:
    if str(source) in SIZES:
        shape = SIZES[str(source)] if labels is None else replace(SIZES[str(source)], labels=labels)
        model = fresh(shape, cast(type[MaskedLM], kind or MaskedLM), seed=seed)
        return model.to(device=device, dtype=wanted_dtype).eval()
    folder = folder_of(source)
    config, architecture = from_file(folder / "config.json")
    if kind is None and architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{folder / 'config.json'}: architectures: found {architecture or 'none'!r}, expected one of "
            f"{', '.join(ARCHITECTURES)}: say which with load(..., kind=...)"
        )
    wanted = cast("type[Model]", kind or ARCHITECTURES[architecture])
    has_other_labels = labels is not None and labels != config.labels
    is_same_kind = ARCHITECTURES.get(architecture) is wanted and not has_other_labels
    config = replace(config, labels=labels) if labels is not None else config
    with torch.device("meta"):
        model = wanted(config)
    tensors = _read_adapted(folder, model) if is_adapter(folder) else _read(folder)
    if has_other_labels:  # the same number of other labels would fit, and mean nothing
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
    tensors = _fit(tensors, model, config, folder, is_same_kind=is_same_kind, seed=seed)
    tensors = {name: tensor.to(device=device, dtype=wanted_dtype) for name, tensor in tensors.items()}
    model.load_state_dict(tensors, strict=False, assign=True)
    if isinstance(model, MaskedLM):
        model.tie()
    return model.eval()


def fresh(config: ModelConfig, kind: type[Kind] = MaskedLM, *, seed: int = 0) -> Kind:
    """A model with newly drawn weights, in float32 on the CPU."""
    model = kind(config)
    initialize(model, config, seed=seed)
    return model


def save(model: Model, folder: str | Path) -> None:
    """Write config.json and model.safetensors, each whole or not at all; other files in the folder stay.

    Stock transformers opens the result, old and new generations alike. A tied decoder is not stored twice.
    """
    from safetensors.torch import save as as_bytes

    folder = Path(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name not in _tied(model)}
    architecture = next(name for name, kind in ARCHITECTURES.items() if kind is type(model))
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    with write_atomically(folder / "model.safetensors") as file:
        file.write(
            as_bytes(tensors, metadata={"format": "pt"})
        )  # save_file would put a file that only we may read in its place
    with write_atomically(folder / "config.json", "w") as text:
        json.dump(to_mapping(model.config, architecture=architecture, dtype=dtype), text, indent=2, sort_keys=True)
        text.write("\n")


def encoder_of(model: Model) -> Encoder:
    """The encoder inside a task model, or the encoder itself."""
    return model if isinstance(model, Encoder) else model.model


def _numbers(dtype: torch.dtype | str) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.float32}
    if dtype not in named:
        raise UserError(f"dtype: found {dtype!r}, expected auto, {', '.join(named)}, or a dtype of torch")
    return named[dtype]


def _read(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            tensors |= load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged ({error}): fetch or write it again") from None
    return tensors


def _read_adapted(folder: Path, model: Model) -> dict[str, Tensor]:
    """An adapter's model with the adapter in it, without those of its parts that `model` has no use for."""
    adapter = read_adapter(folder)
    base = folder_of(adapter.base)
    found = adapter.revision and content_hash(base / "model.safetensors")
    if found != adapter.revision:
        raise CheckpointError(
            f"{folder} is a head on {adapter.base} with weights {str(adapter.revision)[:12]}, found weights {str(found)[:12]} "
            "there: install the two that belong together"
        )
    own_parts = {name.split(".")[0] for name in model.state_dict()} | {"model"}
    weights = {name: tensor for name, tensor in _read(base).items() if name.split(".")[0] in own_parts}
    return merge(weights, adapter)


def _fit(
    found: dict[str, Tensor], model: Model, config: ModelConfig, folder: Path, *, is_same_kind: bool, seed: int
) -> dict[str, Tensor]:
    """The tensors under the names this model has for them, every one accounted for."""
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items() if name not in _tied(model)}
    inside = "" if isinstance(model, Encoder) else "model."
    stored_inside = "model." if any(name.startswith("model.") for name in found) else ""
    of_encoder = {f"{inside}{name}" for name in encoder_of(model).state_dict()}
    fitting: dict[str, Tensor] = {}
    left_out: list[str] = []
    for name, tensor in found.items():
        is_head = name.split(".")[0] in PARTS
        own_name = name if is_head else inside + name.removeprefix(stored_inside)
        if own_name in wanted and (is_same_kind or not is_head or tensor.shape == wanted[own_name]):
            fitting[own_name] = tensor
        elif own_name not in _tied(model):
            left_out.append(name)
    missing = [name for name in wanted if name not in fitting]
    left_out_of_encoder = [name for name in left_out if name.split(".")[0] not in PARTS]
    strangers = left_out if is_same_kind else left_out_of_encoder
    absent = missing if is_same_kind else [name for name in missing if name in of_encoder]
    if absent or strangers:
        raise CheckpointError(
            f"{folder}: the weights are not those of this config.json: "
            f"{_listed('missing', absent)}{'; ' if absent and strangers else ''}{_listed('unexpected', strangers)}; "
            "is this the right folder?"
        )
    for name, tensor in fitting.items():
        if tensor.shape != wanted[name]:
            raise CheckpointError(
                f"{folder}: {name}: found shape {tuple(tensor.shape)}, expected {tuple(wanted[name])} from config.json: "
                "weights and config belong to different models"
            )
    if missing:
        generator = torch.Generator().manual_seed(seed)
        fitting |= {name: draw(name, wanted[name], config, generator) for name in missing}
        say(f"{folder}: {', '.join(missing)}: not in the checkpoint, drawn anew; fine-tune before use")
    return fitting


def _tied(model: Model) -> tuple[str, ...]:
    return ("decoder.weight",) if isinstance(model, MaskedLM) and model.config.tie_word_embeddings else ()


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(sorted(names)[:3])
    return f"{len(names)} {what} ({shown}{', ...' if len(names) > 3 else ''})"
