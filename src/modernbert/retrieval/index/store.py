"""What an index asks of the thing that searches. Stores are derived: whatever they lose is in the Parquet parts.

Scores are larger for better. Every list of what was found is sorted by score and then by id, cut at `limit` after sorting: a
record is never left out for another with the same score and a later id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from jaxtyping import Float16, Float32
from numpy import ndarray

from modernbert.retrieval.index.filters import Filter

Found: TypeAlias = tuple[str, float]
"""An id and its score."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A record as a store takes it: the vector already of length 1 where cosines are wanted, words already weighed."""

    id: str
    text: str
    metadata: str
    vector: Float32[ndarray, "D"]
    tokens: Float16[ndarray, "T P"] | None
    words: Mapping[int, float]


class Store(Protocol):
    """Finds points by dot product of vectors, of sparse words, and by MaxSim of tokens."""

    def put(self, points: Sequence[Point]) -> None:
        """Keep these, in place of others of the same ids."""
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Forget these; unknown ones do not matter."""
        ...

    def dense(self, vector: Float32[ndarray, "D"], limit: int, where: Filter | None, *, exact: bool) -> list[Found]:
        """The nearest; `exact` forbids to take a short cut."""
        ...

    def lexical(self, words: Mapping[int, float], limit: int, where: Filter | None) -> list[Found]:
        """Those that share a word."""
        ...

    def late(self, tokens: Float16[ndarray, "T P"], ids: Sequence[str]) -> dict[str, float]:
        """MaxSim of these ids, where they have tokens."""
        ...

    def matching(self, where: Filter) -> list[str]:
        """All ids that fit, sorted."""
        ...

    def bodies(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Text and metadata."""
        ...

    def count(self) -> int:
        """Points."""
        ...

    def flush(self, *, build: bool) -> dict[str, int]:
        """Get everything to disk, and `build` what makes searching fast; return files that must never shrink, and their sizes."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
