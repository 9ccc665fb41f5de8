"""Several rankings into one, by reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009)."""

from collections import defaultdict
from collections.abc import Sequence

K = 60
"""The paper's constant: how little it matters to be first rather than second."""


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[str]], *, weights: Sequence[float] | None = None, k: float = K
) -> list[tuple[str, float]]:
    """Every id with the sum of weight / (k + rank) over the rankings that hold it, best first; ties by id.

    Ranks count from 1. Scores of the rankings do not matter, hence need not be comparable.

    >>> [id for id, _ in reciprocal_rank_fusion([["a", "b"], ["b", "c"]])]
    ['b', 'a', 'c']
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, id_ in enumerate(ranking, start=1):
            scores[id_] += weight / (k + rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
