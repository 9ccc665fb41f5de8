"""From a query to hits: the legs, their fusion, and a second look at the first candidates.

Shapes:  D width of the dense vector   T tokens of the query   P their width
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32

from modernbert.core.errors import UserError
from modernbert.retrieval.index.bm25 import Lexicon
from modernbert.retrieval.index.filters import Filter
from modernbert.retrieval.index.fusion import Fusion, hybrid
from modernbert.retrieval.index.manifest import Settings, Similarity
from modernbert.retrieval.index.record import Hit, Query, finite, half
from modernbert.retrieval.index.store import Store

Mode: TypeAlias = Literal["dense", "lexical", "hybrid"]
CANDIDATES = 100
"""Of each leg, at least, when there is another step after it."""


@dataclass(slots=True)
class _Scores:
    """Of one search: what each leg said, by id."""

    dense: dict[str, float] = field(default_factory=dict)
    lexical: dict[str, float] = field(default_factory=dict)
    fused: dict[str, float] = field(default_factory=dict)
    """Of a hybrid."""
    late: dict[str, float] = field(default_factory=dict)


def search(
    store: Store,
    lexicon: Lexicon,
    settings: Settings,
    query: Query,
    *,
    top_k: int,
    where: Filter | None,
    mode: Mode,
    rescore: int | None,
    exact: bool,
    fusion: Fusion,
) -> list[Hit]:
    """`Index.search`, with everything it needs passed in."""
    if top_k < 1 or (rescore is not None and rescore < 1):
        raise UserError(f"search: found top_k={top_k}, rescore={rescore}, expected 1 or more")
    limit = top_k if mode != "hybrid" and rescore is None else max(top_k, rescore or 0, CANDIDATES)
    scores = _Scores()
    if mode in ("dense", "hybrid"):
        vector = dense_query(query, settings)
        scores.dense = dict(store.dense(vector, limit, where, exact=exact))
    if mode in ("lexical", "hybrid"):
        if query.text is None:
            raise UserError(f"search: mode {mode!r} compares words, and the query has no text: give Query(text=...)")
        scores.lexical = dict(store.lexical(lexicon.query_weights(query.text), limit, where))
    if mode == "hybrid":
        scores.fused = hybrid(scores.dense, scores.lexical, fusion, limit=limit)
    ranked = _order(mode, scores)
    if rescore is not None:
        scores.late = _late(store, settings, query, ranked[:rescore])
        if mode == "hybrid":
            scores.fused = _fused_again(scores, ranked, fusion, limit)
            ranked = list(scores.fused)
        else:
            ranked = [*scores.late, *(id_ for id_ in ranked if id_ not in scores.late)]
    return _hits(store, ranked[:top_k], scores)


def unit(vectors: Float32[np.ndarray, "... D"], similarity: Similarity) -> Float32[np.ndarray, "... D"]:
    """Of length 1 where cosines are wanted, so that every store can take dot products; zeros stay zeros."""
    if similarity == "dot":
        return vectors
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def dense_query(query: Query, settings: Settings) -> Float32[np.ndarray, "D"]:
    """The query's vector as stores want it.

    Raises:
        UserError: there is none, or one of another size.
    """
    if query.vector is None:
        raise UserError("search: this mode compares vectors, and the query has none: give Query(vector=...)")
    vector = finite("search: the query's vector", query.vector, (settings.vector_size,))
    return unit(vector.astype(np.float32), settings.similarity)


def _order(mode: Mode, scores: _Scores) -> list[str]:
    match mode:
        case "dense":
            return list(scores.dense)
        case "lexical":
            return list(scores.lexical)
        case "hybrid":
            return list(scores.fused)
    raise UserError(f"search: found mode {mode!r}, expected 'dense', 'lexical' or 'hybrid'")


def _late(store: Store, settings: Settings, query: Query, ids: Sequence[str]) -> dict[str, float]:
    """MaxSim of those that have tokens, best first, ties by id."""
    if settings.tokens_size is None:
        raise UserError("search: rescore needs token vectors, and the index was made without: leave rescore out")
    if query.tokens is None:
        raise UserError("search: rescore compares tokens, and the query has none: give Query(tokens=...)")
    tokens = half("search: the query's tokens", query.tokens, settings.tokens_size)
    found = store.late(tokens, ids)
    return dict(sorted(found.items(), key=lambda scored: (-scored[1], scored[0])))


def _fused_again(scores: _Scores, ranked: Sequence[str], fusion: Fusion, limit: int) -> dict[str, float]:
    """Words, and MaxSim in place of the vectors; what neither knows comes last, in its old order."""
    fused = hybrid(scores.late, scores.lexical, fusion, limit=limit)
    return fused | {id_: 0.0 for id_ in ranked if id_ not in fused}


def _hits(store: Store, ids: Sequence[str], scores: _Scores) -> list[Hit]:
    bodies = store.bodies(ids)
    hits = []
    for id_ in ids:
        text, metadata = bodies[id_]
        legs = [leg.get(id_) for leg in (scores.dense, scores.lexical, scores.fused, scores.late)]
        dense, lexical, fused, late = legs
        score = next(leg for leg in (fused, late, dense, lexical) if leg is not None)
        hits.append(
            Hit(
                id=id_, score=score, text=text, metadata=json.loads(metadata),
                dense=dense, lexical=lexical, fused=fused, late=late,
            )
        )  # fmt: skip
    return hits
