"""Documents that are nearly the same as one before: MinHash (Broder 1997) with locality-sensitive hashing.

Two documents are near when the sets of their runs of five words share at least `threshold` of all runs of both (Jaccard).
The sketches are `rensa`'s; the index is a dictionary, since the library's own gives no keys for sketches of numbers.

It keeps about 2.7 kB for each document that stays; nothing for those that go.
"""

import numpy as np
from jaxtyping import UInt

from modernbert.core.errors import require
from modernbert.data.shingles import as_one, runs

WORDS = 5
"""Words in a row; a shorter document is one run."""

_SKETCH = 120
"""Numbers in a sketch: an estimate of 0.8 has a standard error of 0.037. Has many divisors, for the bands."""
_RECALL = 0.99


class NearDuplicates:
    """The documents met so far that stay. State: their sketches, and who has which part of a sketch in common."""

    def __init__(self, threshold: float, *, seed: int = 17) -> None:
        self._threshold = threshold
        self._seed = seed
        self._minhash = require("rensa", extra="data").RMinHash
        self._rows = rows_of_a_band(threshold)
        self._names: list[str] = []
        self._sketches = np.zeros((1024, _SKETCH), np.uint32)
        self._members: dict[int, int | list[int]] = {}  # mostly one alone, and a list would take 60 bytes more

    def find(self, name: str, words_W: UInt[np.ndarray, "W"]) -> str | None:
        """The name of the earliest document that this one is near to. When there is none, this one is remembered.

        A document without words is near to none.
        """
        if not len(words_W):
            return None
        sketch = self._sketch(words_W)
        bands = self._bands(sketch)
        for other in sorted({member for band in bands for member in self._with(band)}):
            if np.count_nonzero(self._sketches[other] == sketch) >= self._threshold * _SKETCH:
                return self._names[other]
        self._remember(name, sketch, bands)
        return None

    def _sketch(self, words_W: np.ndarray) -> UInt[np.ndarray, "sketch"]:
        shingles = runs(words_W, min(WORDS, len(words_W)))
        matrix = self._minhash.digest_matrix_from_flat_token_hashes(shingles, [0, len(shingles)], _SKETCH, self._seed)
        return np.array(matrix.to_rows()[0], np.uint32)

    def _bands(self, sketch: np.ndarray) -> list[int]:
        """One number for each band, equal when all its numbers are. That two different bands are equal is rarer than rare."""
        return as_one(sketch.astype(np.uint64).reshape(-1, self._rows)).tolist()

    def _with(self, band: int) -> list[int]:
        members = self._members.get(band, [])
        return members if isinstance(members, list) else [members]

    def _remember(self, name: str, sketch: np.ndarray, bands: list[int]) -> None:
        number = len(self._names)
        if number == len(self._sketches):
            self._sketches = np.concatenate([self._sketches, np.zeros_like(self._sketches)])
        self._sketches[number] = sketch
        self._names.append(name)
        for band in bands:
            self._members[band] = [*self._with(band), number] if band in self._members else number


def rows_of_a_band(threshold: float) -> int:
    """How many numbers of a sketch make a band: as many as find 99 % of the pairs that are just near enough.

    More would miss pairs, fewer would compare more pairs that are not near.

    >>> rows_of_a_band(0.8)
    6
    """
    sizes = [size for size in range(1, _SKETCH + 1) if _SKETCH % size == 0]
    return max(size for size in sizes if size == 1 or 1 - (1 - threshold**size) ** (_SKETCH // size) >= _RECALL)
