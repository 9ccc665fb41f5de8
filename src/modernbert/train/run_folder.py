"""The folder of a run by transformers' Trainer: whose it is, where the run goes on, and what it ran on."""

import platform
from collections.abc import Collection
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from modernbert.core.config import read, to_plain, write
from modernbert.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def claim(settings: "DataclassInstance", out: Path, *, free: Collection[str] = ()) -> None:
    """Make the folder and write `recipe.yaml` into it, or check that the run in it is this one.

    Args:
        free: settings that may change when a run goes on.

    Raises:
        ConfigError: there is a run of another recipe.
        UserError: the folder cannot be written.
    """
    recipe = out / "recipe.yaml"
    if recipe.exists():
        before, now = to_plain(read(type(settings), recipe)), to_plain(settings)
        changed = [f.name for f in fields(settings) if before[f.name] != now[f.name] and f.name not in free]
        if changed:
            raise ConfigError(
                f"{out} holds a run of another recipe, which differs in {', '.join(changed[:4])}"
                f"{' and more' if len(changed) > 4 else ''}: go on with {recipe}, or choose another folder with --out"
            )
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
