"""The errors a user can meet. Everything else that escapes is a bug of ours (exit code 1).

A message has three parts: what was found, what was expected, what to do.
"""

from importlib import import_module
from types import ModuleType
from typing import ClassVar


class UserError(ValueError):
    """The user's mistake: the command line prints the sentence and leaves with exit code 2."""

    leaves_at_once: ClassVar[bool] = False
    """Whether the process ends without taking anything down, for what would be taken down no longer can be."""


class ConfigError(UserError):
    """A recipe or a model's config says something that cannot be meant."""


class UnsupportedError(UserError):
    """Well-formed, but this machine, backend or version cannot do it."""


class CheckpointError(UserError):
    """A folder of weights is missing, damaged, or does not fit the model."""


class MissingExtraError(UserError, ImportError):
    """An optional library is not installed; the message says how to install it."""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, without its backtrace."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def require(module: str, *, extra: str | None = None) -> ModuleType:
    """Import an optional library, or say which extra of ours brings it; none does where `extra` is not given.

    Raises:
        MissingExtraError: the library is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] != module.split(".")[0]:
            raise
        wanted = module.split(".")[0] if extra is None else f"'modernbert[{extra}]'"
        raise MissingExtraError(f"{module!r} is not installed and this needs it: run  pip install {wanted}") from None
