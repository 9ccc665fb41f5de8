"""Qdrant Edge: the same engine as a Qdrant server, as a library in this process. The default store.

Dense vectors get an HNSW graph once there are enough of them (`flush` builds it); words are a sparse vector; metadata has payload
indexes. Vectors of tokens are only ever compared in full, for candidates that something else found: they lie in files beside
the shard, whose payload says where (docs/decisions/027).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

from jaxtyping import Float16
from numpy import ndarray

from modernbert.core.cores import cores
from modernbert.core.errors import require
from modernbert.retrieval.index._qdrant import (
    DENSE,
    FACETS,
    WORDS,
    Dialect,
    QdrantStore,
    number_fields,
    payload,
    point_id,
)
from modernbert.retrieval.index.filters import Range
from modernbert.retrieval.index.manifest import Settings
from modernbert.retrieval.index.store import Point
from modernbert.retrieval.index.token_files import Place, TokenFiles
from modernbert.retrieval.maxsim import maxsim_joined

_CONFIG = "edge_config.json"
_TOKENS = "tokens"
"""Folder of the files, and where in the payload their places are."""
_PAGE = 1000
_ROWS = 3200
"""Of tokens that are compared at once."""
_QUANTILE, _OVERSAMPLING = 0.99, 2.0
"""Graphs are built and followed by int8 copies, of numbers within the quantile; twice as many as wanted are compared in full."""
_REWRITTEN = ("flags", "mutable_id_tracker", "tracker_journal")
"""Files that Edge swaps for others, or drops, while it works; the rest only grow."""


class EdgeStore(QdrantStore):
    """A shard in a folder; one process at a time may have it open."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Open the shard there, or make one. Edge's own errors where it is damaged."""
        self.edge = require("qdrant_edge", extra="retrieval")
        self.dialect = _EdgeDialect(self.edge)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not (folder / _CONFIG).exists()
        self._shard = (
            self.edge.EdgeShard.create(str(folder), self._config(settings))
            if is_new
            else self.edge.EdgeShard.load(str(folder))
        )
        self._indexed = set(self._shard.info().payload_schema)
        self._tokens = None if settings.tokens_size is None else TokenFiles(folder / _TOKENS, settings.tokens_size)
        if is_new:
            self._index_field(FACETS, self.edge.KeywordIndexParams(prefix=True))

    def put(self, points: Sequence[Point]) -> None:
        """Upsert, and index numbers of fields that were not seen before."""
        for field in sorted(number_fields(points) - self._indexed):
            self._index_field(field, self.edge.PayloadSchemaType.Float)
        places = self._keep_tokens(points)
        made = [
            self.edge.Point(point_id(point.id), self._vectors(point), payload(point) | places.get(point.id, {}))
            for point in points
        ]
        if made:
            self._shard.update(self.edge.UpdateOperation.upsert_points(made))

    def remove(self, ids: Sequence[str]) -> None:
        """Forget these."""
        if ids:
            self._forget_tokens(ids)
            self._shard.update(self.edge.UpdateOperation.delete_points([point_id(id_) for id_ in ids]))

    def late(self, tokens: Float16[ndarray, "T P"], ids: Sequence[str]) -> dict[str, float]:
        """MaxSim over the given points only."""
        scores: dict[str, float] = {}
        for some in _groups(self._places(ids)):
            assert self._tokens is not None
            rows, lengths = self._tokens.read(list(some.values())), [place.rows for place in some.values()]
            scores.update(zip(some, maxsim_joined(tokens, rows, lengths).tolist(), strict=True))
        return scores

    def count(self) -> int:
        """Points."""
        return self._shard.count(self.edge.CountRequest(exact=True))

    def flush(self, *, build: bool) -> dict[str, int]:
        """Build graphs where they pay, then sync; the sizes are of segments, which only an optimisation here makes smaller."""
        if self._tokens is not None:
            self._tokens.drop_retired()
            if self._tokens.is_worn:
                self._rewrite_tokens()
        if build:
            self._shard.optimize()
        self._shard.flush()
        kept = [
            path
            for path in sorted((self.folder / "segments").rglob("*"))
            if path.is_file() and not path.name.startswith(_REWRITTEN)
        ]
        kept += [] if self._tokens is None else self._tokens.flush()
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in kept}

    def close(self) -> None:
        """Let go of the shard."""
        self._shard.close()

    def _query(
        self, using: str, vector: Any, limit: int, where: Any | None, fields: list[str], *, exact: bool
    ) -> list[tuple[dict[str, Any], float]]:
        among = self.edge.QuantizationSearchParams(ignore=exact, rescore=True, oversampling=_OVERSAMPLING)
        request = self.edge.QueryRequest(
            limit=limit,
            query=self.edge.Query.Nearest(vector, using=using),
            filter=where,
            with_payload=fields,
            params=self.edge.SearchParams(exact=exact, quantization=among if using == DENSE else None),
        )
        return [(point.payload, point.score) for point in self._shard.query(request)]

    def _scroll(self, where: Any | None, fields: list[str]) -> list[dict[str, Any]]:
        return list(chain.from_iterable(self._pages(where, fields)))

    def _pages(self, where: Any | None, fields: list[str]) -> Iterator[list[dict[str, Any]]]:
        offset = None
        while True:
            page, offset = self._shard.scroll(
                self.edge.ScrollRequest(offset=offset, limit=_PAGE, filter=where, with_payload=fields)
            )
            yield [point.payload for point in page]
            if offset is None:
                return

    def _retrieve(self, ids: list[UUID], fields: list[str]) -> list[dict[str, Any]]:
        return [point.payload for point in self._shard.retrieve(ids, with_payload=fields, with_vector=False)]

    def _sparse(self, words: Mapping[int, float]) -> Any:
        return self.edge.SparseVector(list(words), list(words.values()))

    def _vectors(self, point: Point) -> dict[str, Any]:
        return {DENSE: point.vector.tolist(), WORDS: self._sparse(point.words)}

    def _places(self, ids: Sequence[str]) -> dict[str, Place]:
        """Of those that have tokens."""
        bodies = self._retrieve([point_id(id_) for id_ in ids], ["id", _TOKENS]) if ids else []
        return {body["id"]: Place(*body[_TOKENS]) for body in bodies if _TOKENS in body}

    def _keep_tokens(self, points: Sequence[Point]) -> dict[str, dict[str, list[int]]]:
        """What the payloads say besides, by id."""
        if self._tokens is None:
            return {}
        self._forget_tokens([point.id for point in points])
        arrays = {point.id: point.tokens for point in points if point.tokens is not None}
        places = self._tokens.append(list(arrays.values()))
        return {id_: {_TOKENS: list(place)} for id_, place in zip(arrays, places, strict=True)}

    def _forget_tokens(self, ids: Sequence[str]) -> None:
        if self._tokens is not None:
            self._tokens.forget(list(self._places(ids).values()))

    def _rewrite_tokens(self) -> None:
        """Into the next file, what counts; at every moment each place is one whose rows are on disk."""
        assert self._tokens is not None
        number = self._tokens.begin_next()
        for page in self._pages(None, ["id", _TOKENS]):
            bodies = [body for body in page if _TOKENS in body and body[_TOKENS][0] < number]
            old = [Place(*body[_TOKENS]) for body in bodies]
            new = self._tokens.append([self._tokens.read([place]) for place in old])
            self._tokens.flush()
            for body, place in zip(bodies, new, strict=True):
                given = {_TOKENS: list(place)}
                self._shard.update(self.edge.UpdateOperation.set_payload([point_id(body["id"])], given))
        self._tokens.retire_before(number)

    def _index_field(self, field: str, schema: Any) -> None:
        self._shard.update(self.edge.UpdateOperation.create_field_index(field, schema))
        self._indexed.add(field)

    def _config(self, settings: Settings) -> Any:
        edge = self.edge
        vectors = {DENSE: edge.EdgeVectorParams(settings.vector_size, edge.Distance.Dot)}
        return edge.EdgeConfig(
            vectors=vectors,
            sparse_vectors={WORDS: edge.EdgeSparseVectorParams()},
            quantization_config=edge.ScalarQuantizationConfig(edge.ScalarType.Int8, quantile=_QUANTILE),
            max_search_threads=len(cores()),
            payload_memory=edge.Memory.Cached,  # ids and texts of what is found lie all over it
        )


def _groups(places: Mapping[str, Place]) -> Iterator[dict[str, Place]]:
    """Some at a time: what fits the processor's cache is compared faster."""
    some: dict[str, Place] = {}
    rows = 0
    for id_, place in places.items():
        if some and rows + place.rows > _ROWS:
            yield some
            some, rows = {}, 0
        some[id_] = place
        rows += place.rows
    if some:
        yield some


class _EdgeDialect(Dialect):
    def equal(self, key: str, value: str) -> Any:
        return self.names.FieldCondition(key, match=self.names.MatchValue(value))

    def any_of(self, key: str, values: list[str]) -> Any:
        return self.names.FieldCondition(key, match=self.names.MatchAny(values))

    def prefix(self, key: str, text: str) -> Any:
        return self.names.FieldCondition(key, match=self.names.MatchPrefix(text))

    def between(self, key: str, bounds: Range) -> Any:
        within = self.names.RangeFloat(gte=bounds.at_least, gt=bounds.above, lte=bounds.at_most, lt=bounds.below)
        return self.names.FieldCondition(key, range=within)

    def ids(self, ids: list[UUID]) -> Any:
        return self.names.HasIdCondition(set(ids))
