"""From a query to the hits that may be shown: what must stand in a text decides, then, for code, what readers expect of an order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modernbert.core.log import say
from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.documents.find import Root
from modernbert.retrieval.documents.query import Query
from modernbert.retrieval.documents.rerank_rules import Facts, rerank
from modernbert.retrieval.index.filter_text import Where
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.record import Hit
from modernbert.retrieval.index.record import Query as Asked
from modernbert.retrieval.index.search import CANDIDATES, Mode
from modernbert.retrieval.search.passages import chunk_of, path_inside

MOST = 10_000
"""Chunks that are looked through for literals and patterns."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hit and what it is of."""

    hit: Hit
    chunk: Chunk
    score: float


def candidates(
    index: Index,
    query: Query,
    asked: Asked,
    *,
    roots: Sequence[Root],
    top_k: int,
    where: Where,
    mode: Mode,
    code: bool,
) -> list[Candidate]:
    """The best `top_k` that have all that must stand there. Where it is rare, more and more chunks are looked at, and
    it is said when there were too many."""
    limit = max(top_k, CANDIDATES) if code or query.is_strict else top_k
    while True:
        hits = index.search(
            asked, top_k=limit, where=where, mode=mode, exact=query.is_strict,
            rescore=None if asked.tokens is None else limit,
        )  # fmt: skip
        found = [Candidate(hit, chunk_of(hit.text, hit.metadata, roots), hit.score) for hit in hits]
        if query.is_strict:
            found = [one for one in found if query.accepts(one.chunk.text)]
        if not query.is_strict or len(found) >= top_k or len(hits) < limit:
            break
        if limit >= MOST:
            say(
                f"looked at the nearest {limit:,} of {len(index):,} chunks, and found {len(found)} with what must be there"
            )
            break
        limit = min(MOST, limit * 8)
    return (_reranked(found, query) if code else found)[:top_k]


def words_of_patterns(query: Query) -> str:
    """Words to search by for a query that has none but in its patterns."""
    return " ".join(
        word for pattern in query.patterns for word in re.findall(r"\w+", re.sub(r"\\.", " ", pattern.pattern))
    )


def _reranked(found: Sequence[Candidate], query: Query) -> list[Candidate]:
    facts = []
    for one in found:
        symbols = one.chunk.metadata.get("symbols")
        facts.append(
            Facts(
                path=path_inside(one.hit.metadata), kind=one.chunk.kind, symbol=one.chunk.symbol,
                symbols=tuple(map(str, symbols)) if isinstance(symbols, list) else (),
            )
        )  # fmt: skip
    by_id = {one.hit.id: one for one in found}
    ordered = rerank([(one.hit.id, one.score) for one in found], facts, query)
    return [Candidate(by_id[one.id].hit, by_id[one.id].chunk, one.score) for one in ordered]
