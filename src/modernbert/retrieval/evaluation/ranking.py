"""One ranker on one collection: the run, and what it costs."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modernbert.retrieval.evaluation.collection import Collection
from modernbert.retrieval.evaluation.rankers import Found, Ranker, Searcher

MOST = 100
"""Documents ranked a query: what the deepest measure looks at."""
TIMED = 50
"""Queries asked one at a time for the latency; the same ones of a collection for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What was found, and at what cost."""

    run: dict[str, Found]
    """By query, every one of the collection's."""
    build_seconds: float
    num_bytes: int
    seconds_p50: float
    """Of one query alone, its encoding included."""
    seconds_p95: float


def rank(ranker: Ranker, collection: Collection, *, most: int = MOST, timed: int = TIMED) -> Ranking:
    """Make the documents ready, ask every query, then some of them again alone to time them.

    A document that has a query's id and ends with its text is the query itself, as in ArguAna, and is left out for it.
    """
    searcher = ranker.index(collection.documents)
    texts = list(collection.queries.values())
    run = {
        query: _without_itself(found, query, collection, most)
        for query, found in zip(collection.queries, searcher.search(texts, most + 1), strict=True)
    }
    seconds = _alone(searcher, texts, most, timed)
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return Ranking(
        run=run,
        build_seconds=searcher.build_seconds,
        num_bytes=searcher.num_bytes,
        seconds_p50=float(p50),
        seconds_p95=float(p95),
    )


def _without_itself(found: Found, query: str, collection: Collection, most: int) -> Found:
    is_itself = query in found and collection.documents[query].endswith(collection.queries[query])
    kept = [document for document in found if not (is_itself and document == query)]
    return {document: found[document] for document in kept[:most]}


def _alone(searcher: Searcher, texts: Sequence[str], most: int, timed: int) -> list[float]:
    seconds = []
    for text in texts[:: math.ceil(len(texts) / timed)]:
        start = time.perf_counter()
        searcher.search([text], most)
        seconds.append(time.perf_counter() - start)
    return seconds
