"""Which records count, by their metadata: a small language with one meaning in every store.

A field of a nested mapping is named with dots (`file.path`). Where a field holds a list, one fitting element is enough. A
field that is missing, or null, fits nothing, so only `Not` finds it. 1 and 1.0 are equal; true is not 1, and "1" is not 1.
"""

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

from modernbert.core.errors import ConfigError

Scalar: TypeAlias = str | int | float | bool

_LARGEST = 1.7976931348623157e308
_LONGEST = 200
"""Characters of a text that a store keeps to filter by; of longer ones it keeps these and a hash."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The field holds this value."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds one of these."""

    field: str
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ConfigError(f"filter on {self.field!r}: any of no values fits nothing; give at least one")


@dataclass(frozen=True, slots=True)
class Range:
    """The field holds a number between these; numbers only, so write dates as numbers."""

    field: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if all(bound is None for bound in self.bounds):
            raise ConfigError(f"filter on {self.field!r}: a range without a bound fits every number; give one")
        for bound in self.bounds:
            if bound is not None and not abs(bound) <= _LARGEST:
                raise ConfigError(f"filter on {self.field!r}: found the bound {bound}, expected a finite number")

    @property
    def bounds(self) -> tuple[float | None, ...]:
        """At least, above, at most, below."""
        return self.at_least, self.above, self.at_most, self.below

    def holds(self, number: float) -> bool:
        """Whether it lies inside."""
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field holds a text that begins so."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Glob:
    """The field holds a text of this shell pattern; `*` also crosses slashes, case counts."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts fit."""

    parts: "tuple[Filter, ...]"

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("filter: 'and' of nothing; leave the filter out to find everything")


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part fits."""

    parts: "tuple[Filter, ...]"

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("filter: 'or' of nothing fits nothing; give at least one part")


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not fit."""

    part: "Filter"


Filter: TypeAlias = Equal | AnyOf | Range | Prefix | Glob | And | Or | Not


def matches(where: Filter, metadata: Mapping[str, object]) -> bool:
    """Whether a record with this metadata counts: what the language means."""
    if isinstance(where, And):
        return all(matches(part, metadata) for part in where.parts)
    if isinstance(where, Or):
        return any(matches(part, metadata) for part in where.parts)
    if isinstance(where, Not):
        return not matches(where.part, metadata)
    return any(_fits(where, value) for field, value in scalars(metadata) if field == where.field)


def scalars(metadata: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Every field with a value that can be asked for; a list gives one a time.

    >>> list(scalars({"file": {"path": "a.py"}, "tags": ["x", None]}))
    [('file.path', 'a.py'), ('tags', 'x')]
    """
    for key, value in metadata.items():
        yield from _scalars(f"{prefix}{key}", value)


def facet(field: str, value: Scalar) -> str:
    """One string for a field and a value: equal exactly where the language says that the values are."""
    return (
        facet_prefix(field, value) if isinstance(value, str) and len(value) <= _LONGEST else _other_facet(field, value)
    )


def facet_prefix(field: str, text: str) -> str:
    """How facets of texts that begin with `text` begin. Exact up to `_LONGEST` characters, then of too many."""
    return f"{field}\x1fs:{text[:_LONGEST]}"


def is_exact_prefix(text: str) -> bool:
    """Whether `facet_prefix` finds no others."""
    return len(text) <= _LONGEST


def literal_start(pattern: str) -> str:
    """What every text of a shell pattern begins with.

    >>> literal_start("src/*.py")
    'src/'
    """
    return re.split(r"[*?[]", pattern, maxsplit=1)[0]


def number_field(field: str) -> str:
    """A name that is safe in every store's paths."""
    return f"n{blake2b(field.encode(), digest_size=8).hexdigest()}"


def as_number(value: float) -> float:
    """A float64: whole numbers beyond its range become its largest."""
    return float(max(-_LARGEST, min(_LARGEST, value)))


def is_number(value: object) -> bool:
    """Booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(where: Equal | AnyOf | Range | Prefix | Glob, value: Scalar) -> bool:
    match where:
        case Equal(field=field, value=wanted):
            return facet(field, value) == facet(field, wanted)
        case AnyOf(field=field, values=values):
            return facet(field, value) in {facet(field, wanted) for wanted in values}
        case Range():
            return not isinstance(value, str | bool) and where.holds(as_number(value))
        case Prefix(text=text):
            return isinstance(value, str) and value.startswith(text)
        case Glob(pattern=pattern):
            return isinstance(value, str) and _regex(pattern).match(value) is not None


@lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def _scalars(field: str, value: object) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping):
        yield from scalars(value, f"{field}.")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _scalars(field, inner)
    elif isinstance(value, str | int | float):
        yield field, value


def _other_facet(field: str, value: Scalar) -> str:
    if isinstance(value, str):
        return f"{facet_prefix(field, value)}\x1f{blake2b(value.encode(), digest_size=16).hexdigest()}"
    if isinstance(value, bool):
        return f"{field}\x1fb:{json.dumps(value)}"
    return f"{field}\x1fn:{int(value) if value == int(value) else value!r}"
