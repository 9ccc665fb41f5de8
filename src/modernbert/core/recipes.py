"""Settings from words: recipes that come with the package by name, files by path, laid over each other, then settings."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from modernbert.core.config import read
from modernbert.core.errors import ConfigError

T = TypeVar("T")


def read_words(kind: type[T], folder: str, words: Sequence[str], *, what: str, such_as: str) -> T:
    """The settings that names, files and `key=value` come to, from left to right.

    Args:
        folder: of the shipped recipes, inside `modernbert.recipes`.
        what: how messages call a recipe, such as "fine-tuning recipe".
        such_as: a setting, for messages.

    Raises:
        ConfigError: a recipe that is not there, or a setting that cannot be meant.
    """
    settings = [word for word in words if "=" in word]
    sources = [_source(word, folder, what, such_as) for word in words if "=" not in word]
    return read(kind, *sources, overrides=settings)


def shipped_names(folder: str) -> list[str]:
    """The shipped recipes."""
    inside = files("modernbert.recipes") / folder
    return sorted(Path(str(entry)).stem for entry in inside.iterdir() if str(entry).endswith(".yaml"))


def _source(word: str, folder: str, what: str, such_as: str) -> Path:
    path = Path(word)
    if path.suffix in (".yaml", ".yml", ".json"):
        return path
    names = shipped_names(folder)
    if word not in names:
        raise ConfigError(
            f"there is no {what} {word!r}, found {', '.join(names)}: name one of them, a .yaml file, or settings such as {such_as}"
        )
    return Path(str(files("modernbert.recipes") / folder / f"{word}.yaml"))
