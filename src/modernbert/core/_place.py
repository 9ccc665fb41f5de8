"""Where a setting stands and who wrote it: the first words of every sentence about a config."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from modernbert.core.errors import ConfigError

Keys = tuple[str | int, ...]

FLAGS = "--"
"""The author of what stands on the command line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path of keys, printed as `recipe.stages[1].until`, or `--stages[1].until` where a flag wrote it.

    `authors` says for each path who wrote it last: a file's name, or `FLAGS`. What has no author of its own, such as
    an item of a list, was written by the author of the nearest path above; the root () always has one.
    """

    authors: Mapping[Keys, str]
    keys: Keys = ()

    def into(self, key: str | int) -> "Place":
        """The place one step further down."""
        return Place(self.authors, (*self.keys, key))

    def error(self, sentence: str) -> ConfigError:
        """The sentence, in one line, behind the place."""
        return ConfigError(f"{self}: {' '.join(sentence.split())}")

    def mismatch(self, value: object, expected: str, hint: str = "") -> ConfigError:
        """What was found, what was expected, what to do."""
        return self.error(f"found {show(value)}, expected {expected}{hint and '; '}{hint}")

    def unknown_key(self, known: Collection[str]) -> ConfigError:
        """The last key of this place is none of those `known`."""
        hint = did_you_mean(self.keys[-1], known) or f"expected {either(known) if known else 'none at all'}"
        return self.error(f"no such key; {hint}")

    def __str__(self) -> str:
        author = next(self.authors[above] for above in _upwards(self.keys) if above in self.authors)
        path = "".join(map(_step, self.keys))
        return FLAGS + path.removeprefix(".") if author == FLAGS else author + path


def show(value: object) -> str:
    """A value in a few words, as its author would recognize it."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def either(options: Collection[object], last_word: str = "or") -> str:
    """`'a', 'b' or 'c'`; a long list is cut."""
    words = [repr(option) for option in options]
    if len(words) > 12:
        words = [*words[:11], f"{len(words) - 11} more"]
    return f" {last_word} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def did_you_mean(word: object, options: Collection[object]) -> str:
    """A question about the nearest option; empty where none is near."""
    near = (
        get_close_matches(word, [option for option in options if isinstance(option, str)], n=1)
        if isinstance(word, str)
        else []
    )
    return f"did you mean {near[0]!r}?" if near else ""


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key if str(key).isprintable() else repr(key)}"


def _upwards(keys: Keys) -> list[Keys]:
    return [keys[:length] for length in range(len(keys), -1, -1)]
