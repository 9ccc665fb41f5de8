"""BIO tags and the entities that they spell, as seqeval reads them by default (conlleval's rules).

B- begins an entity, I- goes on with it; an I- behind O or behind another type begins one, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """An entity as words: type, first word, and the word behind its last."""

    kind: str
    first: int
    end: int


def is_bio(labels: Sequence[str]) -> bool:
    """Whether labels are BIO tags: `O`, and at least one B- or I-."""
    return all(label == "O" or label[:2] in ("B-", "I-") for label in labels) and any(label != "O" for label in labels)


def runs(tags: Sequence[str]) -> list[Run]:
    """The entities of a row of tags.

    >>> runs(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [Run(kind='PER', first=0, end=2), Run(kind='LOC', first=3, end=4), Run(kind='LOC', first=4, end=5)]
    """
    found: list[Run] = []
    kind, first = "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, here = tag.partition("-")
        if kind and (mark != "I" or here != kind):
            found.append(Run(kind, first, place))
            kind = ""
        if tag != "O" and not kind:
            kind, first = here, place
    return found
