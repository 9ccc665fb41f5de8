"""Training documents that hold text of a test set, found by runs of 13 words in common, as GPT-3's were (arXiv 2005.14165, C).

A training document goes as a whole. What is compared are words (`shingles`): capitals, punctuation and white space do not
count. It keeps 16 bytes for each word of the test sets.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt

from modernbert.data.shingles import runs, runs_of_each, words

SHORTEST = 8
"""Words. A test document with fewer (a label, a name) is found only where it is a whole training document."""


class TestSets:
    """The texts to keep out of training. State: none that changes."""

    __test__ = False  # for pytest, which collects classes of such names

    def __init__(self, documents: Iterable[tuple[str, str]], *, overlap: int = 13) -> None:
        """Of each document its name and its text; a run of `overlap` words is taken for a copy, or all of a shorter document."""
        found: dict[int, list[tuple[UInt[np.ndarray, runs], int]]] = defaultdict(list)
        self._names: list[str] = []
        self._whole: dict[tuple[int, int], int] = {}
        for name, text in documents:
            number = len(self._names)
            self._names.append(name)
            words_W = words(text)
            size = min(len(words_W), overlap)
            if size >= min(SHORTEST, overlap):
                found[size].append((runs(words_W, size), number))
            elif size:
                self._whole.setdefault((size, int(runs(words_W, size)[0])), number)
        self._runs = {size: _index(parts) for size, parts in sorted(found.items())}

    def find(self, words_W: UInt[np.ndarray, "W"]) -> str | None:
        """The name of a test document that has a run of words in common with this one."""
        size = len(words_W)
        if 0 < size < SHORTEST and (number := self._whole.get((size, int(runs(words_W, size)[0])))) is not None:
            return self._names[number]
        for asked, (known, owners) in zip(runs_of_each(words_W, list(self._runs)), self._runs.values(), strict=True):
            places = np.searchsorted(known, asked)
            is_known = known[np.minimum(places, len(known) - 1)] == asked
            if is_known.any():
                return self._names[owners[places[is_known.argmax()]]]
        return None


def _index(parts: list[tuple[np.ndarray, int]]) -> tuple[np.ndarray, np.ndarray]:
    """All runs in rising order, each with the first document that holds it."""
    known, firsts = np.unique(np.concatenate([part for part, _ in parts]), return_index=True)
    owners = np.repeat([number for _, number in parts], [len(part) for part, _ in parts])
    return known, owners[firsts]
