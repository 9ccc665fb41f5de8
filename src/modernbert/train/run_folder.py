"""The folder of a run by transformers' Trainer: whose it is, where the run goes on, and what it ran on."""

import platform
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from modernbert.core.claims import refuse_another
from modernbert.core.config import read, write
from modernbert.core.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def claim(settings: "DataclassInstance", out: Path, *, free: Collection[str] = ()) -> None:
    """Make the folder and write `recipe.yaml` into it, or check that the run in it is this one.

    A recipe alone is no run: what was refused before it began (for its data, say) may be told anew.

    Args:
        free: settings that may change when a run goes on.

    Raises:
        ConfigError: there is a run of another recipe.
        UserError: the folder cannot be written.
    """
    recipe = out / "recipe.yaml"
    if recipe.exists() and any(path != recipe for path in out.iterdir()):
        refuse_another(read(type(settings), recipe), settings, recipe=recipe, flag="--out", free=free)
    try:
        write(settings, recipe)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}): choose another folder with --out") from None


def last_checkpoint(out: Path) -> str | None:
    """The latest whole one."""
    found = [
        path
        for path in out.glob("checkpoint-*")
        if (path / "trainer_state.json").is_file() and path.name[11:].isdigit()
    ]
    return str(max(found, key=lambda path: int(path.name[11:]))) if found else None


def versions(*names: str) -> dict[str, str]:
    """Of Python and of these packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def machine() -> str:
    """The GPU, or the processor with the threads in use."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
