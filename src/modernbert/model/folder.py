"""What lies in a model's folder beside its weights."""

import shutil
from pathlib import Path

from modernbert.core.errors import UserError

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
"""Every name under which either transformers generation keeps a tokenizer."""


def copy_tokenizer(source: Path, target: Path) -> tuple[str, ...]:
    """Copy those of a tokenizer's files that `source` has, byte for byte; returns their names."""
    names = tuple(name for name in TOKENIZER_FILES if (source / name).is_file())
    for name in names:
        shutil.copyfile(source / name, target / name)
    return names


def check_free(folder: Path) -> None:
    """Stop before hours of work, or somebody's model, are lost to a name that is taken.

    Raises:
        UserError: `folder` is a file, or a folder with something in it.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{folder}: is there already, expected a new or an empty folder: choose another name")
