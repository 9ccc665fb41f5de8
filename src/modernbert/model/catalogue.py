"""What is inside the package, told from the files of each model; and a model of it taken away as a folder of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch

from modernbert.core import packaged
from modernbert.core.errors import CheckpointError
from modernbert.core.files import atomic_folder
from modernbert.model.adapter import WEIGHTS
from modernbert.model.adapter_config import is_adapter
from modernbert.model.card import parted
from modernbert.model.config import ModelConfig
from modernbert.model.folder import check_free, copy_modules, copy_tokenizer, is_half, weight_files
from modernbert.model.heads import ARCHITECTURES
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import load, save


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One packaged model, or one head on it."""

    name: str
    """As `load` takes it: nano, nano:embedding."""
    task: str
    """The Hub's word for what it does (`pipeline_tag` of its card)."""
    about: str
    """The card's first sentence."""
    parameters: int
    """Of a head: what it adds."""
    bytes: int
    """On disk; of a head without the model below it."""
    longest: int
    """Tokens of a text."""
    signature: str
    """Hash of all its files, in hexadecimal."""
    folder: Path


def catalogue() -> tuple[Entry, ...]:
    """Everything that is packaged, each file checked against its hash."""
    return tuple(_entry(name) for name in packaged.names())


def take(source: str | Path, out: Path) -> None:
    """Write a model as a whole folder that needs nothing of this package: an adapter merged, the tokenizer beside it.

    transformers opens it; sentence-transformers does too, and pools as the config says where the model has no layers of its own.

    Raises:
        UserError: `out` is taken.
    """
    check_free(out)
    folder = folder_of(source)
    model = load(folder, dtype=torch.float32)
    model = model.to(torch.bfloat16) if is_half(folder) else model
    with atomic_folder(out) as unfinished:
        save(model, unfinished)
        copy_tokenizer(tokenizer_folder(folder), unfinished)
        if not copy_modules(folder, unfinished):
            _write_pooling(model.config, unfinished)


@contextmanager
def whole(source: str | Path) -> Iterator[Path]:
    """A model's folder with all in it that other libraries look for; of a head or an adapter a copy, which goes with the block."""
    folder = folder_of(source)
    if tokenizer_folder(folder) == folder:
        yield folder
        return
    with TemporaryDirectory() as home:
        copy = Path(home) / folder.name
        take(source, copy)
        yield copy


def _entry(name: str) -> Entry:
    from safetensors import safe_open

    folder = cast(Path, packaged.folder(name))
    config, architecture = from_file(folder / "config.json")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{folder / 'config.json'}: found architecture {architecture!r}: install the package again"
        )
    task, about = _card(folder)
    files = (folder / WEIGHTS,) if is_adapter(folder) else weight_files(folder)
    parameters = 0
    for path in files:
        with safe_open(path, "pt") as tensors:
            shapes = (tensors.get_slice(key).get_shape() for key in tensors.keys())  # noqa: SIM118 (it is no mapping)
            parameters += sum(torch.Size(shape).numel() for shape in shapes)
    return Entry(
        name=name,
        task=task,
        about=about,
        parameters=parameters,
        bytes=sum(path.stat().st_size for path in packaged.files(folder)),
        longest=config.max_position_embeddings,
        signature=packaged.signature(folder),
        folder=folder,
    )


def _card(folder: Path) -> tuple[str, str]:
    """The `pipeline_tag` and the first sentence of a card."""
    front, body = parted((folder / "README.md").read_text(encoding="utf-8"))
    prose = " ".join(line for line in body.splitlines() if line and not line.startswith("#"))
    return front.get("pipeline_tag", ""), prose.partition(". ")[0].rstrip(".")


def _write_pooling(config: ModelConfig, folder: Path) -> None:
    """sentence-transformers' files: a transformer, then pooling."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    pooling = {"word_embedding_dimension": config.hidden_size}
    pooling |= {
        f"pooling_mode_{name}": name.startswith(config.classifier_pooling) for name in ("cls_token", "mean_tokens")
    }
    (folder / "1_Pooling").mkdir()
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling, indent=2) + "\n", encoding="utf-8")
