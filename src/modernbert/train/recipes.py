"""The recipes that come with the package, and reading any recipe as `pretrain` does. No torch here.

A recipe says everything about a run but the data. An overlay says only what it changes, and is laid over a recipe:
`modernbert pretrain base z-loss`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from modernbert.core.config import read
from modernbert.core.errors import ConfigError
from modernbert.train.config import Recipe

FOLDER = Path(__file__).parents[1] / "recipes"
OVERLAYS = FOLDER / "overlays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One file that comes with the package."""

    name: str
    path: Path
    is_overlay: bool

    @property
    def purpose(self) -> str:
        """The first line of its opening comment."""
        first = self.path.read_text(encoding="utf-8").partition("\n")[0]
        return first.lstrip("# ").strip()


def shipped() -> tuple[Shipped, ...]:
    """All of them by name, recipes before overlays."""
    return tuple(
        Shipped(name=path.stem, path=path, is_overlay=folder == OVERLAYS)
        for folder in (FOLDER, OVERLAYS)
        for path in sorted(folder.glob("*.yaml"))
    )


def find(name_or_path: str | Path) -> Path:
    """The file that is meant: one that exists, else the shipped recipe of that name.

    Raises:
        ConfigError: neither; the message lists what there is.
    """
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    name, known = str(name_or_path), {recipe.name: recipe.path for recipe in shipped()}
    if name in known:
        return known[name]
    close = get_close_matches(name.lower().removesuffix(".yaml"), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    raise ConfigError(f"recipe {name!r}: found no such file and no recipe of that name; {hint}")


def read_recipe(words: Sequence[str | Path], overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that these words say: names and files, laid over each other from left to right.

    A word with `=` in it is one setting, such as `optim.lr=3e-4`, as are the `overrides`, and is laid on top.

    Raises:
        ConfigError: no recipe, an unknown one, or anything in it that cannot be meant.
    """
    files = [find(word) for word in words if not is_setting(word)]
    settings = [str(word) for word in words if is_setting(word)]
    if all(path.parent == OVERLAYS for path in files):
        laid = " ".join(path.stem for path in files)
        found = f"found only overlays ({laid}), which change parts of a recipe" if files else "found no recipe"
        raise ConfigError(f"{found}; expected one such as base first: {' '.join(['base', *laid.split()])}")
    return read(Recipe, *files, overrides=[*settings, *overrides])


def is_setting(word: str | Path) -> bool:
    """Whether a word of the command line is a setting and not a file."""
    return isinstance(word, str) and "=" in word and not Path(word).is_file()
