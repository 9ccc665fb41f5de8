"""Several rankings into one: by scores, or by places alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from modernbert.core.errors import UserError

Fusion: TypeAlias = Literal["scores", "ranks"]

DENSE_SHARE = 0.3
"""Of a hybrid, words have the rest. Decision 025 says what was measured."""

K = 60
"""The paper's constant: how little it matters to be first rather than second."""


def hybrid(dense: Mapping[str, float], lexical: Mapping[str, float], fusion: Fusion, *, limit: int) -> dict[str, float]:
    """Vectors and words in one ranking, best first.

    Args:
        dense: scores, best first.
        lexical: the same.
        limit: so many candidates each was asked for; fewer words were found: these are all.

    Raises:
        UserError: there is no such fusion.
    """
    match fusion:
        case "scores":
            complete = [False, len(lexical) < limit]
            return dict(score_fusion([dense, lexical], [DENSE_SHARE, 1 - DENSE_SHARE], complete=complete))
        case "ranks":
            return dict(reciprocal_rank_fusion([list(dense), list(lexical)]))
    raise UserError(f"search: found fusion {fusion!r}, expected 'scores' or 'ranks'")


def score_fusion(
    legs: Sequence[Mapping[str, float]], weights: Sequence[float], *, complete: Sequence[bool] | None = None
) -> list[tuple[str, float]]:
    """Every id with the weighted sum of its scores, each leg's brought to 0 to 1 (Bruch, Gai and Ingber, TOIS 2023), best first.

    A leg's best is 1; its last candidate is 0, as is everything that it did not find. Ties by id.

    Args:
        complete: legs that found all there is for them to find, with scores above 0, such as words with few matches: there 0 is
            the score of what was not found, and the last one keeps its share.

    >>> [id for id, _ in score_fusion([{"a": 9.0, "b": 8.0, "c": 1.0}, {"c": 0.9, "b": 0.8, "d": 0.1}], [0.5, 0.5])]
    ['b', 'a', 'c', 'd']
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for leg, weight, is_complete in zip(legs, weights, complete or [False] * len(legs), strict=True):
        high = max(leg.values(), default=0.0)
        low = 0.0 if is_complete else min(leg.values(), default=0.0)
        for id_, score in leg.items():
            scores[id_] += weight * ((score - low) / (high - low) if high > low else 1.0)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[str]], *, weights: Sequence[float] | None = None, k: float = K
) -> list[tuple[str, float]]:
    """Every id with the sum of weight / (k + rank) over the rankings that hold it (Cormack, Clarke and Büttcher, SIGIR 2009), best
    first; ties by id.

    Ranks count from 1. Scores of the rankings do not matter, hence need not be comparable.

    >>> [id for id, _ in reciprocal_rank_fusion([["a", "b"], ["b", "c"]])]
    ['b', 'a', 'c']
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, id_ in enumerate(ranking, start=1):
            scores[id_] += weight / (k + rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
