"""The models inside the package, by name: `nano`, and the heads on it, as `nano:embedding`: folders, and nothing of what is in them.

A model is a folder `models/NAME` in Hugging Face's layout; a head is a folder `models/NAME/heads/HEAD` with what it
changes in the model, as a PEFT adapter (`model/adapter.py`), or a whole model for which the tokenizer above it is enough,
where hardly anything is left of the trunk or all of it was trained on. Each holds SHA256SUMS, which `sha256sum -c` reads as well: weights
that differ from what was measured are refused, for a model that is a little wrong looks like one that is a little bad.
"""

from functools import cache
from pathlib import Path

from modernbert.core.errors import CheckpointError, UserError
from modernbert.core.files import content_hash, write_atomically

FOLDER = Path(__file__).parents[1] / "models"
HEADS = "heads"
SUMS = "SHA256SUMS"

DEFAULT = "nano"
"""What every verb takes that is told no model."""


def names() -> tuple[str, ...]:
    """Models and their heads, each model before its own: nano, nano:embedding, ..."""
    return tuple(
        name
        for model in sorted(path.parent for path in FOLDER.glob(f"*/{SUMS}"))
        for name in (model.name, *(f"{model.name}:{head.name}" for head in _heads(model)))
    )


def folder(name: str, *, head: str | None = None) -> Path | None:
    """Where the model or head of that name lies, its files checked once a process; none: there is no such model.

    Args:
        head: for a bare model's name, the head that is taken when the model has it.

    Raises:
        UserError: the model is there, but not the head that the name asks for.
        CheckpointError: a file is missing, or is not what it was when the package was made.
    """
    model_name, colon, head_name = name.partition(":")
    model = FOLDER / model_name
    if not model_name or Path(model_name).name != model_name or not (model / SUMS).is_file():
        return None
    if not colon and head is not None and (model / HEADS / head / SUMS).is_file():
        colon, head_name = ":", head
    if not colon:
        return _checked(model)
    heads = [path.name for path in _heads(model)]
    if head_name not in heads:
        raise UserError(
            f"{name!r}: {model_name} has no head of that name, expected one of {', '.join(heads) or 'none'}"
        )
    return _checked(model / HEADS / head_name)


def trunk_of(folder: Path) -> Path | None:
    """The model that a head's folder lies in."""
    above = folder.parent.parent
    return above if folder.parent.name == HEADS and (above / SUMS).is_file() else None


def files(folder: Path) -> list[Path]:
    """Those of a model or of a head; a model's heads are signed by themselves."""
    below = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / SUMS)
    return [path for path in below if path.relative_to(folder).parts[0] != HEADS]


def sign(folder: Path) -> None:
    """Write SHA256SUMS over the files of a folder."""
    lines = [f"{content_hash(path)}  {path.relative_to(folder).as_posix()}\n" for path in files(folder)]
    with write_atomically(folder / SUMS, "w") as file:
        file.writelines(lines)


def signature(folder: Path) -> str:
    """One hash for all the files that are signed, hence for what the model is."""
    return content_hash(folder / SUMS)


def _heads(model: Path) -> list[Path]:
    return sorted(path.parent for path in model.glob(f"{HEADS}/*/{SUMS}"))


@cache
def _checked(folder: Path) -> Path:
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        wanted, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or content_hash(path) != wanted:
            state = "is missing" if not path.is_file() else "is not what it was when the package was made"
            raise CheckpointError(f"{path} {state}: install the package again")
    return folder
