"""A Qdrant server or cluster, through qdrant-client, by the same calls as the embedded store.

    docker run -p 6333:6333 -p 6334:6334 -v "$PWD/qdrant:/qdrant/storage" qdrant/qdrant

The Parquet parts stay in the index's folder on the machine of the one owner; others may search the collection meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from modernbert.core.errors import UserError, require
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

_BATCH = 256
"""Points of one request: with tokens a point is some 50 kB, and a server takes 32 MB."""
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a collection is, and how it is spread."""

    url: str
    """Such as http://localhost:6333; `:memory:` or a folder is qdrant-client's own imitation, for tests."""
    collection: str
    api_key: str | None = None
    shards: int | None = None
    """Of a new collection on a cluster; None: the server's default."""
    replicas: int | None = None
    timeout: int = 60
    """Seconds of one request."""


class ServerStore(QdrantStore):
    """A collection."""

    def __init__(self, server: Server, settings: Settings) -> None:
        """Connect, and make the collection where there is none.

        Raises:
            UserError: nobody answers there.
        """
        require("qdrant_client", extra="retrieval")
        from qdrant_client import QdrantClient, models

        self.models, self.server = models, server
        self.dialect = _ClientDialect(models)
        is_remote, is_folder = "://" in server.url, server.url != ":memory:"
        self._is_local = not is_remote
        try:
            self._client = QdrantClient(
                url=server.url if is_remote else None,
                path=server.url if is_folder and not is_remote else None,
                location=None if is_folder else server.url,
                api_key=server.api_key,
                timeout=server.timeout,
                check_compatibility=False,  # it asks in a thread, and warns where nobody answers, which is said below
            )
            is_new = not self._client.collection_exists(server.collection)
        except Exception as error:
            raise UserError(
                f"{server.url}: no Qdrant answers there ({str(error) or type(error).__name__}): start one, "
                "for example  docker run -p 6333:6333 qdrant/qdrant"
            ) from error
        if is_new:
            self._create(settings)
        self._indexed: set[str] = set(self._client.get_collection(server.collection).payload_schema or ())

    def put(self, points: Sequence[Point]) -> None:
        """Upsert in requests of a bearable size, and wait until each is applied."""
        for field in sorted(number_fields(points) - self._indexed):
            self._index_field(field, self.models.PayloadSchemaType.FLOAT)
        for start in range(0, len(points), _BATCH):
            made = [
                self.models.PointStruct(id=str(point_id(point.id)), vector=self._vectors(point), payload=payload(point))
                for point in points[start : start + _BATCH]
            ]
            self._client.upsert(self.server.collection, made, wait=True)

    def remove(self, ids: Sequence[str]) -> None:
        """Forget these."""
        if ids:
            wanted = self.models.PointIdsList(points=[str(point_id(id_)) for id_ in ids])
            self._client.delete(self.server.collection, wanted, wait=True)

    def clear(self) -> None:
        """Delete the collection."""
        self._client.delete_collection(self.server.collection)

    def count(self) -> int:
        """Points."""
        return self._client.count(self.server.collection, exact=True).count

    def flush(self, *, build: bool) -> dict[str, int]:
        """The server keeps its own log and builds its graphs by itself."""
        return {}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _query(
        self, using: str, vector: Any, limit: int, where: Any | None, fields: list[str], *, exact: bool
    ) -> list[tuple[dict[str, Any], float]]:
        found = self._client.query_points(
            self.server.collection,
            query=vector,
            using=using,
            limit=limit,
            query_filter=where,
            with_payload=fields,
            search_params=self.models.SearchParams(exact=True) if exact and not self._is_local else None,
        )
        return [(point.payload or {}, point.score) for point in found.points]

    def _scroll(self, where: Any | None, fields: list[str]) -> list[dict[str, Any]]:
        found, offset = [], None
        while True:
            page, offset = self._client.scroll(
                self.server.collection, scroll_filter=where, limit=_PAGE, offset=offset, with_payload=fields
            )
            found += [point.payload or {} for point in page]
            if offset is None:
                return found

    def _retrieve(self, ids: list[UUID], fields: list[str]) -> list[dict[str, Any]]:
        found = self._client.retrieve(self.server.collection, [str(one) for one in ids], with_payload=fields)
        return [point.payload or {} for point in found]

    def _sparse(self, words: Mapping[int, float]) -> Any:
        return self.models.SparseVector(indices=list(words), values=list(words.values()))

    def _vectors(self, point: Point) -> dict[str, Any]:
        vectors = {DENSE: point.vector.tolist(), WORDS: self._sparse(point.words)}
        return vectors if point.tokens is None else {**vectors, TOKENS: point.tokens.tolist()}

    def _index_field(self, field: str, schema: Any) -> None:
        if not self._is_local:  # the imitation has no indexes and warns
            self._client.create_payload_index(self.server.collection, field, schema, wait=True)
        self._indexed.add(field)

    def _create(self, settings: Settings) -> None:
        models = self.models
        vectors = {DENSE: models.VectorParams(size=settings.vector_size, distance=models.Distance.DOT)}
        if settings.tokens_size is not None:
            vectors[TOKENS] = models.VectorParams(
                size=settings.tokens_size,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                datatype=models.Datatype.FLOAT16,
                hnsw_config=models.HnswConfigDiff(m=0),
                on_disk=True,
            )
        self._client.create_collection(
            self.server.collection,
            vectors_config=vectors,
            sparse_vectors_config={WORDS: models.SparseVectorParams()},
            shard_number=self.server.shards,
            replication_factor=self.server.replicas,
        )
        self._indexed = set()
        self._index_field(FACETS, models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True))


class _ClientDialect(Dialect):
    def equal(self, key: str, value: str) -> Any:
        return self.names.FieldCondition(key=key, match=self.names.MatchValue(value=value))

    def any_of(self, key: str, values: list[str]) -> Any:
        return self.names.FieldCondition(key=key, match=self.names.MatchAny(any=values))

    def prefix(self, key: str, text: str) -> Any:
        return self.names.FieldCondition(key=key, match=self.names.MatchPrefix(prefix=text))

    def between(self, key: str, bounds: Range) -> Any:
        within = self.names.Range(gte=bounds.at_least, gt=bounds.above, lte=bounds.at_most, lt=bounds.below)
        return self.names.FieldCondition(key=key, range=within)

    def ids(self, ids: list[UUID]) -> Any:
        return self.names.HasIdCondition(has_id=[str(one) for one in ids])
