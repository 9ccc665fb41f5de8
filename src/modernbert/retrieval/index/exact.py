"""The slow twin: every vector is compared, every posting added up, in plain NumPy and Python. What the others are tested against.

It keeps everything in memory and nothing on disk, which makes it the store of readers, too.

Shapes:  N points   D width   Q tokens of the query   T of a document   P their width
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float16, Float32

from modernbert.retrieval.index.filters import Filter, matches
from modernbert.retrieval.index.store import Found, Point

_MARGIN = 1e-4
"""How far a float32 product may be from the float64 one, as a share of the largest: candidates this near are looked at twice."""


class ExactStore:
    """All in memory."""

    def __init__(self) -> None:
        self._points: dict[str, Point] = {}
        self._postings: defaultdict[int, dict[str, float]] = defaultdict(dict)
        self._matrix: tuple[list[str], np.ndarray] | None = None

    def put(self, points: Sequence[Point]) -> None:
        """Keep these."""
        self.remove([point.id for point in points])
        for point in points:
            self._points[point.id] = point
            for word, weight in point.words.items():
                self._postings[word][point.id] = weight

    def remove(self, ids: Sequence[str]) -> None:
        """Forget these."""
        self._matrix = None
        for id_ in ids:
            if point := self._points.pop(id_, None):
                for word in point.words:
                    del self._postings[word][id_]

    def dense(
        self, vector: Float32[np.ndarray, "D"], limit: int, where: Filter | None, *, exact: bool = True
    ) -> list[Found]:
        """Dot products, in float64 for all that could be among the first."""
        if not self._points:
            return []
        if self._matrix is None:
            self._matrix = list(self._points), np.stack([point.vector for point in self._points.values()])
        ids, vectors_ND = self._matrix
        rough_N = vectors_ND @ vector
        if where is not None:
            rough_N[~np.array([self._fits(id_, where) for id_ in ids])] = -np.inf
        last = np.partition(rough_N, -limit)[-limit] if limit < len(ids) else -np.inf
        if np.isfinite(last):
            last -= _MARGIN * float(np.linalg.norm(vector)) * float(np.abs(vectors_ND).max()) * np.sqrt(len(vector))
        near = np.flatnonzero((rough_N >= last) & np.isfinite(rough_N))
        scores = (vectors_ND[near].astype(np.float64) * vector.astype(np.float64)).sum(axis=1).astype(np.float32)
        return _best([(ids[i], float(score)) for i, score in zip(near, scores, strict=True)], limit)

    def lexical(self, words: Mapping[int, float], limit: int, where: Filter | None) -> list[Found]:
        """Sums over postings."""
        scores: defaultdict[str, float] = defaultdict(float)
        for word, weight in sorted(words.items()):
            for id_, share in self._postings.get(word, {}).items():
                scores[id_] += weight * share
        found = [(id_, float(np.float32(score))) for id_, score in scores.items()]
        return _best([one for one in found if where is None or self._fits(one[0], where)], limit)

    def late(self, tokens: Float16[np.ndarray, "Q P"], ids: Sequence[str]) -> dict[str, float]:
        """MaxSim: for each token of the query the best of the document, summed."""
        query_QP = tokens.astype(np.float32)
        return {
            id_: float((query_QP @ document_TP.astype(np.float32).T).max(axis=1).sum())
            for id_ in ids
            if id_ in self._points and (document_TP := self._points[id_].tokens) is not None
        }

    def matching(self, where: Filter) -> list[str]:
        """All that fit."""
        return sorted(id_ for id_ in self._points if self._fits(id_, where))

    def bodies(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Text and metadata."""
        return {id_: (self._points[id_].text, self._points[id_].metadata) for id_ in ids}

    def count(self) -> int:
        """Points."""
        return len(self._points)

    def flush(self, *, build: bool) -> dict[str, int]:
        """Nothing is on disk."""
        return {}

    def close(self) -> None:
        """Nothing is open."""

    def _fits(self, id_: str, where: Filter) -> bool:
        return matches(where, json.loads(self._points[id_].metadata))


def _best(found: list[Found], limit: int) -> list[Found]:
    return sorted(found, key=lambda one: (-one[1], one[0]))[:limit]
