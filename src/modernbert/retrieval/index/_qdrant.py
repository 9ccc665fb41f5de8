"""What Qdrant Edge and a Qdrant server have in common: points, filters, and asking until the answer is surely whole.

Qdrant's own IDF is not used: it goes on counting documents that were deleted or replaced, so scores would depend on history.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from jaxtyping import Float16, Float32
from numpy import ndarray

from modernbert.retrieval.index.filters import (
    And,
    AnyOf,
    Equal,
    Filter,
    Glob,
    Not,
    Or,
    Prefix,
    Range,
    as_number,
    facet,
    facet_prefix,
    is_exact_prefix,
    literal_start,
    matches,
    number_field,
    scalars,
)
from modernbert.retrieval.index.store import Found, Point

DENSE, TOKENS, WORDS = "dense", "tokens", "words"
"""Names of the vectors."""
FACETS, NUMBERS = "facets", "numbers"
"""Names in the payload, beside id, text and metadata."""
_FIRST = 8
"""More than wanted are asked for, so that most ties at the end are seen at once."""


class Dialect(ABC):
    """Qdrant's filters, which Edge and the client spell differently."""

    def __init__(self, names: Any) -> None:
        self.names = names
        """The module of their classes."""

    @abstractmethod
    def equal(self, key: str, value: str) -> Any:
        """Holds this string."""
        ...

    @abstractmethod
    def any_of(self, key: str, values: list[str]) -> Any:
        """Holds one of these."""
        ...

    @abstractmethod
    def prefix(self, key: str, text: str) -> Any:
        """Holds a string that begins so."""
        ...

    @abstractmethod
    def between(self, key: str, bounds: Range) -> Any:
        """Holds a number inside."""
        ...

    def all_of(self, parts: list[Any]) -> Any:
        """And."""
        return self.names.Filter(must=parts)

    def one_of(self, parts: list[Any]) -> Any:
        """Or."""
        return self.names.Filter(should=parts)

    def none_of(self, parts: list[Any]) -> Any:
        """Not."""
        return self.names.Filter(must_not=parts)

    @abstractmethod
    def ids(self, ids: list[UUID]) -> Any:
        """Is one of these points."""
        ...


@lru_cache(maxsize=1 << 16)
def point_id(id_: str) -> UUID:
    """128 bits of a hash: Qdrant's ids are numbers or UUIDs, ours any string."""
    return UUID(bytes=blake2b(id_.encode(), digest_size=16).digest())


def payload(point: Point) -> dict[str, Any]:
    """What is kept with a point: to show, and to filter by."""
    facets: dict[str, None] = {}
    numbers: dict[str, list[float]] = {}
    for field, value in scalars(json.loads(point.metadata)):
        facets[facet(field, value)] = None
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers.setdefault(number_field(field), []).append(as_number(value))
    return {
        "id": point.id, "text": point.text, "metadata": point.metadata, FACETS: list(facets), NUMBERS: numbers,
    }  # fmt: skip


def translate(where: Filter, dialect: Dialect) -> tuple[Any | None, bool]:
    """Qdrant's filter, and whether it is exact; if it is not it lets too much pass, and None lets everything."""
    match where:
        case Equal(field=field, value=value):
            return dialect.equal(FACETS, facet(field, value)), True
        case AnyOf(field=field, values=values):
            return dialect.any_of(FACETS, sorted({facet(field, value) for value in values})), True
        case Range(field=field):
            return dialect.between(f"{NUMBERS}.{number_field(field)}", where), True
        case Prefix(field=field, text=text):
            return dialect.prefix(FACETS, facet_prefix(field, text)), is_exact_prefix(text)
        case Glob(field=field, pattern=pattern):
            return dialect.prefix(FACETS, facet_prefix(field, literal_start(pattern))), False
        case Not(part=part):
            condition, is_exact = translate(part, dialect)
            return (dialect.none_of([condition]), True) if is_exact else (None, False)
        case And(parts=parts) | Or(parts=parts):
            return _several(where, [translate(part, dialect) for part in parts], dialect)


class QdrantStore(ABC):
    """A `Store` on the few calls that both have."""

    dialect: Dialect

    @abstractmethod
    def _query(
        self, using: str, vector: Any, limit: int, where: Any | None, fields: list[str], *, exact: bool
    ) -> list[tuple[dict[str, Any], float]]:
        """Payloads and scores of the nearest, best first."""

    @abstractmethod
    def _scroll(self, where: Any | None, fields: list[str]) -> list[dict[str, Any]]:
        """Payloads of all that fit."""

    @abstractmethod
    def _retrieve(self, ids: list[UUID], fields: list[str]) -> list[dict[str, Any]]:
        """Payloads of these points."""

    @abstractmethod
    def _sparse(self, words: Mapping[int, float]) -> Any:
        """A sparse vector."""

    def dense(self, vector: Float32[ndarray, "D"], limit: int, where: Filter | None, *, exact: bool) -> list[Found]:
        """The nearest by dot product, through HNSW where there is one."""
        return self._ranked(DENSE, vector.tolist(), limit, where, exact=exact)

    def lexical(self, words: Mapping[int, float], limit: int, where: Filter | None) -> list[Found]:
        """Those that share a word, by Qdrant's sparse index."""
        return self._ranked(WORDS, self._sparse(words), limit, where, exact=False) if words else []

    def late(self, tokens: Float16[ndarray, "T P"], ids: Sequence[str]) -> dict[str, float]:
        """MaxSim, computed by Qdrant over the given points only."""
        if not ids:
            return {}
        where = self.dialect.all_of([self.dialect.ids([point_id(id_) for id_ in ids])])
        found = self._query(TOKENS, tokens.tolist(), len(ids), where, ["id"], exact=True)
        return {body["id"]: score for body, score in found}

    def matching(self, where: Filter) -> list[str]:
        """All that fit, by scrolling."""
        condition, is_exact = translate(where, self.dialect)
        found = self._scroll(self._whole(condition), _fields(is_exact))
        return sorted(body["id"] for body in found if is_exact or _fits(where, body))

    def bodies(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Text and metadata."""
        found = self._retrieve([point_id(id_) for id_ in ids], ["id", "text", "metadata"])
        return {body["id"]: (body["text"], body["metadata"]) for body in found}

    def _ranked(self, using: str, vector: Any, limit: int, where: Filter | None, *, exact: bool) -> list[Found]:
        """Ask for more until no tie is cut and enough of what was found fits the filter."""
        condition, is_exact = (None, True) if where is None else translate(where, self.dialect)
        wanted = limit + _FIRST
        while True:
            found = self._query(using, vector, wanted, self._whole(condition), _fields(is_exact), exact=exact)
            fitting = [
                (body["id"], score) for body, score in found if is_exact or where is None or _fits(where, body)
            ]  # fmt: skip
            is_cut_clean = len(fitting) > limit and fitting[-1][1] < fitting[limit - 1][1]
            if len(found) < wanted or is_cut_clean:
                return sorted(fitting, key=lambda one: (-one[1], one[0]))[:limit]
            wanted *= 4

    def _whole(self, condition: Any | None) -> Any | None:
        return None if condition is None else self.dialect.all_of([condition])


def number_fields(points: Sequence[Point]) -> set[str]:
    """Paths of the numbers in the payloads, to be indexed."""
    return {
        f"{NUMBERS}.{number_field(field)}"
        for point in points
        for field, value in scalars(json.loads(point.metadata))
        if not isinstance(value, str | bool)
    }


def _several(where: And | Or, parts: list[tuple[Any | None, bool]], dialect: Dialect) -> tuple[Any | None, bool]:
    conditions = [condition for condition, _ in parts if condition is not None]
    is_exact = all(exact for _, exact in parts)
    if isinstance(where, And):
        return (dialect.all_of(conditions) if conditions else None), is_exact
    return (dialect.one_of(conditions) if len(conditions) == len(parts) else None), is_exact


def _fields(is_exact: bool) -> list[str]:
    return ["id"] if is_exact else ["id", "metadata"]


def _fits(where: Filter, body: Mapping[str, Any]) -> bool:
    return matches(where, json.loads(body["metadata"]))
