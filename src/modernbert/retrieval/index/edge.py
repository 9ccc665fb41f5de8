"""Qdrant Edge: the same engine as a Qdrant server, as a library in this process. The default store.

Dense vectors get an HNSW graph once there are enough of them (`flush` builds it); tokens are only ever compared in full, for
candidates that something else found; words are a sparse vector; metadata has payload indexes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from modernbert.core.cores import cores
from modernbert.core.errors import require
from modernbert.retrieval.index._qdrant import (
    DENSE,
    FACETS,
    TOKENS,
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

_CONFIG = "edge_config.json"
_PAGE = 1000
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
        if is_new:
            self._index_field(FACETS, self.edge.KeywordIndexParams(prefix=True))

    def put(self, points: Sequence[Point]) -> None:
        """Upsert, and index numbers of fields that were not seen before."""
        for field in sorted(number_fields(points) - self._indexed):
            self._index_field(field, self.edge.PayloadSchemaType.Float)
        made = [self.edge.Point(point_id(point.id), self._vectors(point), payload(point)) for point in points]
        if made:
            self._shard.update(self.edge.UpdateOperation.upsert_points(made))

    def remove(self, ids: Sequence[str]) -> None:
        """Forget these."""
        if ids:
            self._shard.update(self.edge.UpdateOperation.delete_points([point_id(id_) for id_ in ids]))

    def count(self) -> int:
        """Points."""
        return self._shard.count(self.edge.CountRequest(exact=True))

    def flush(self) -> dict[str, int]:
        """Build graphs where they pay, then sync; the sizes are of segments, which only an optimisation here makes smaller."""
        self._shard.optimize()
        self._shard.flush()
        segments = self.folder / "segments"
        return {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in sorted(segments.rglob("*"))
            if path.is_file() and not path.name.startswith(_REWRITTEN)
        }

    def close(self) -> None:
        """Let go of the shard."""
        self._shard.close()

    def _query(
        self, using: str, vector: Any, limit: int, where: Any | None, fields: list[str], *, exact: bool
    ) -> list[tuple[dict[str, Any], float]]:
        request = self.edge.QueryRequest(
            limit=limit,
            query=self.edge.Query.Nearest(vector, using=using),
            filter=where,
            with_payload=fields,
            params=self.edge.SearchParams(exact=exact),
        )
        return [(point.payload, point.score) for point in self._shard.query(request)]

    def _scroll(self, where: Any | None, fields: list[str]) -> list[dict[str, Any]]:
        found, offset = [], None
        while True:
            page, offset = self._shard.scroll(
                self.edge.ScrollRequest(offset=offset, limit=_PAGE, filter=where, with_payload=fields)
            )
            found += [point.payload for point in page]
            if offset is None:
                return found

    def _retrieve(self, ids: list[UUID], fields: list[str]) -> list[dict[str, Any]]:
        return [point.payload for point in self._shard.retrieve(ids, with_payload=fields, with_vector=False)]

    def _sparse(self, words: Mapping[int, float]) -> Any:
        return self.edge.SparseVector(list(words), list(words.values()))

    def _vectors(self, point: Point) -> dict[str, Any]:
        vectors = {DENSE: point.vector.tolist(), WORDS: self._sparse(point.words)}
        return vectors if point.tokens is None else {**vectors, TOKENS: point.tokens.tolist()}

    def _index_field(self, field: str, schema: Any) -> None:
        self._shard.update(self.edge.UpdateOperation.create_field_index(field, schema))
        self._indexed.add(field)

    def _config(self, settings: Settings) -> Any:
        edge = self.edge
        vectors = {DENSE: edge.EdgeVectorParams(settings.vector_size, edge.Distance.Dot)}
        if settings.tokens_size is not None:
            vectors[TOKENS] = edge.EdgeVectorParams(
                settings.tokens_size,
                edge.Distance.Dot,
                multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
                datatype=edge.VectorStorageDatatype.Float16,
                hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10),
                memory=edge.Memory.Cold,
            )
        return edge.EdgeConfig(
            vectors=vectors,
            sparse_vectors={WORDS: edge.EdgeSparseVectorParams()},
            max_search_threads=len(cores()),
        )


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
