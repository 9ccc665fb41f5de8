"""Which files a model's folder holds: weights, whole or in shards, the tokenizer beside them, and what stands behind the encoder."""

import json
import shutil
from pathlib import Path

from modernbert.core.errors import CheckpointError, UserError

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
"""Every name under which either transformers generation keeps a tokenizer."""

MODULES = "modules.json"
"""sentence-transformers' list of an encoder and the layers behind it, each in a folder of its own."""
_MODULE_SETTINGS = ("config_sentence_transformers.json", "sentence_bert_config.json")


def weight_files(folder: Path) -> tuple[Path, ...]:
    """model.safetensors, or the shards that its index names.

    Raises:
        CheckpointError: there are none, or one of them is missing.
    """
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise CheckpointError(f"{index} does not list which file holds which tensor: fetch it again") from None
    for name in names:
        if not (folder / name).exists():
            pickled = (folder / "pytorch_model.bin").exists()
            way_out = (
                "pytorch_model.bin is a pickle, which can run code when opened: convert it to safetensors first"
                if pickled
                else "fetch the folder again"
            )
            raise CheckpointError(f"{folder / name} is missing: {way_out}")
    return tuple(folder / name for name in names)


def copy_tokenizer(source: Path, target: Path) -> tuple[str, ...]:
    """Copy those of a tokenizer's files that `source` has, byte for byte; returns their names."""
    names = tuple(name for name in TOKENIZER_FILES if (source / name).is_file())
    for name in names:
        shutil.copyfile(source / name, target / name)
    return names


def copy_modules(source: Path, target: Path) -> bool:
    """Copy what sentence-transformers reads about an encoder of its own kind and the layers behind it; returns whether there was any.

    Raises:
        CheckpointError: a layer is said to be elsewhere than in a folder beside the list.
    """
    if not (source / MODULES).is_file():
        return False
    for name in (MODULES, *_MODULE_SETTINGS):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    for entry in json.loads((source / MODULES).read_text(encoding="utf-8")):
        if own := entry.get("path"):
            if Path(own).name != own or not (source / own).is_dir():
                raise CheckpointError(
                    f"{source / MODULES}: found the path {own!r}, expected a folder beside it: fetch it again"
                )
            shutil.copytree(source / own, target / own)
    return True


def is_half(folder: Path) -> bool:
    """Whether config.json says that the weights are in bfloat16."""
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return "bfloat16" in (written.get("dtype"), written.get("torch_dtype"))


def check_free(folder: Path) -> None:
    """Stop before hours of work, or somebody's model, are lost to a name that is taken.

    Raises:
        UserError: `folder` is a file, or a folder with something in it.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{folder}: is there already, expected a new or an empty folder: choose another name")
