"""How good a ranking is: nDCG@10, MRR@10, recall, MAP by trec_eval's code; how sure of that one can be; who is better.

trec_eval keeps scores in 32 bits and breaks ties itself. So rankings are put in order here, in 64 bits, and handed on as
places: score first, the larger first; of equal scores the larger id first, as trec_eval has it. That rule is arbitrary and
blind to what is relevant, which is all that is asked of it.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modernbert.core.errors import UserError, require

MEASURES = ("nDCG@10", "RR@10", "R@10", "R@100", "AP@100")
"""In ir-measures' words; the mean of RR over queries is MRR, that of AP is MAP."""

Run = Mapping[str, Mapping[str, float]]
"""Scores by query, then document. The larger the better."""
Relevant = Mapping[str, Mapping[str, int]]
PerQuery = dict[str, dict[str, float]]
"""Values by measure, then query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean, and where it may as well be."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one ranking has over another, query by query."""

    mean: float
    p_randomised: float
    """How often a difference as large comes from tossing a coin for each query; two-sided."""
    p_t_test: float
    """The same if differences were normal; 1 where all are equal to 0."""
    num_queries: int


def judge(relevant: Relevant, run: Run, measures: Sequence[str] = MEASURES) -> PerQuery:
    """Every measure of every judged query.

    A query that the run does not have, or has nothing for, gets 0, as does one without a relevant document; queries that
    nobody judged are left out. Documents that nobody judged are not relevant.

    Raises:
        UserError: there is no judged query, a measure is unknown, or a score is not a number.
    """
    if not relevant:
        raise UserError("there is no judged query, expected one or more: are these the right qrels?")
    ir_measures = require("ir_measures", extra="retrieval")
    parsed = {}
    for name in measures:
        try:
            parsed[ir_measures.parse_measure(name)] = name
        except (NameError, ValueError, SyntaxError):
            raise UserError(f"found the measure {name!r}, expected such as {', '.join(MEASURES)}") from None
    places = {
        query: {document: float(-place) for place, document in enumerate(ordered(run[query]))}
        for query in relevant
        if run.get(query)
    }
    found: PerQuery = {name: dict.fromkeys(relevant, 0.0) for name in measures}
    graded = {query: dict(documents) for query, documents in relevant.items()}
    if places:
        for value in ir_measures.iter_calc(list(parsed), graded, places):
            found[parsed[value.measure]][value.query_id] = float(value.value)
    return found


def ordered(scores: Mapping[str, float]) -> list[str]:
    """The documents, best first; of equal scores the larger id first.

    Raises:
        UserError: a score is not a number.
    """
    if any(score != score for score in scores.values()):
        raise UserError("a ranking has a score that is not a number, expected numbers: the model's vectors are broken")
    return sorted(scores, key=lambda document: (scores[document], document), reverse=True)


def means(found: PerQuery) -> dict[str, float]:
    """Over queries, each counting once."""
    return {name: statistics.fmean(values.values()) for name, values in found.items()}


def interval(values: Sequence[float], *, level: float = 0.95, draws: int = 10_000, seed: int = 0) -> Interval:
    """The mean, and the percentiles of means of queries drawn again with replacement (bootstrap).

    Raises:
        UserError: there is no value.
    """
    if not values:
        raise UserError("there is no query to draw from, expected one or more")
    values_N = np.asarray(values, dtype=np.float64)
    chance = np.random.default_rng(seed)
    rows = max(1, 2**22 // len(values_N))
    drawn = [
        values_N[chance.integers(len(values_N), size=(min(rows, draws - start), len(values_N)))].mean(1)
        for start in range(0, draws, rows)
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(values_N.mean()), low=float(low), high=float(high))


def compare(one: Mapping[str, float], other: Mapping[str, float], *, draws: int = 100_000, seed: int = 0) -> Difference:
    """How sure it is that one ranking is better than another on queries like these.

    Up to 16 queries every way to toss the coins is counted; beyond, `draws` of them, so that no p is below 1 / (draws + 1).

    Raises:
        UserError: they were not measured on the same queries.
    """
    if one.keys() != other.keys() or not one:
        raise UserError(
            f"found rankings of {len(one):,} and {len(other):,} queries, expected the same ones: measure both on one collection"
        )
    differences_N = np.array([one[query] - other[query] for query in one])
    observed = abs(differences_N.sum()) * (1 - 1e-12)  # sums in another order differ by rounding
    if len(differences_N) <= 16:
        patterns = np.arange(2 ** len(differences_N))[:, None] >> np.arange(len(differences_N)) & 1
        p = float((np.abs((2 * patterns - 1) @ differences_N) >= observed).mean())
    else:
        chance = np.random.default_rng(seed)
        hits, rows = 0, max(1, 2**22 // len(differences_N))
        for start in range(0, draws, rows):
            signs = chance.integers(2, size=(min(rows, draws - start), len(differences_N)), dtype=np.int8) * 2 - 1
            hits += int((np.abs(signs @ differences_N) >= observed).sum())
        p = (hits + 1) / (draws + 1)
    return Difference(
        mean=float(differences_N.mean()),
        p_randomised=p,
        p_t_test=_t_test(differences_N),
        num_queries=len(differences_N),
    )


def _t_test(differences_N: np.ndarray) -> float:
    if len(differences_N) < 2 or not differences_N.any():
        return 1.0
    if np.ptp(differences_N) == 0:
        return 0.0  # no spread at all: t is infinite
    return float(require("scipy.stats", extra="retrieval").ttest_1samp(differences_N, 0.0).pvalue)
