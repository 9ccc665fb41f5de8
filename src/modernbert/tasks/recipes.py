"""Fine-tuning recipes: the shipped ones by name, files by path, laid over each other, then settings."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from modernbert.core.config import read
from modernbert.core.errors import ConfigError
from modernbert.tasks.config import Finetune

_FOLDER = files("modernbert.recipes") / "finetune"


def read_recipe(words: Sequence[str]) -> Finetune:
    """A run's settings from names, files and `key=value`.

    Raises:
        ConfigError: a recipe that is not there, or a setting that cannot be meant.
    """
    settings = [word for word in words if "=" in word]
    return read(Finetune, *(_source(word) for word in words if "=" not in word), overrides=settings)


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(Path(str(entry)).stem for entry in _FOLDER.iterdir() if str(entry).endswith(".yaml"))


def _source(word: str) -> Path:
    path = Path(word)
    if path.suffix in (".yaml", ".yml", ".json"):
        return path
    if word not in names():
        raise ConfigError(
            f"there is no fine-tuning recipe {word!r}, found {', '.join(names())}: name one of them, a .yaml file, or settings "
            "such as task=seq_cls"
        )
    return Path(str(_FOLDER / f"{word}.yaml"))
