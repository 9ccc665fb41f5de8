"""Filters as people write them on a command line, or as a mapping.

    path=src/*              a shell pattern, where there is one of * ? [
    lang=py,rs              one of these
    year>=2020  year<2024   numbers; also <= and >
    path^=src/              begins so
    draft!=true             not; also: not draft=true
    lang=py or lang=rs      either

Several of them all have to fit. A value that reads as a number or as true or false also fits the text of the same letters:
who types `version=2` cannot know how it was stored. In double quotes it is a text, with its commas and stars.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from modernbert.core.errors import ConfigError
from modernbert.retrieval.index.filters import And, AnyOf, Equal, Filter, Glob, Not, Or, Prefix, Range, Scalar

Where: TypeAlias = Filter | Mapping[str, Scalar | Sequence[Scalar]] | str | Sequence[str] | None

_TERM = re.compile(r"(?P<no>not\s+)?(?P<field>[^=<>!^\s]+)\s*(?P<sign>!=|\^=|>=|<=|=|>|<)\s*(?P<value>.*)", re.DOTALL)
_EITHER = re.compile(r'\s+or\s+(?=(?:[^"]*"[^"]*")*[^"]*$)')
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_BOUNDS = {">=": "at_least", ">": "above", "<=": "at_most", "<": "below"}


def read_filter(where: Where) -> Filter | None:
    """A filter from any of its written forms; what is a filter already stays as it is.

    >>> read_filter(["path=src/*", "year>=2020"])
    And(parts=(Glob(field='path', pattern='src/*'), Range(field='year', at_least=2020.0, above=None, at_most=None, below=None)))

    Raises:
        ConfigError: a term cannot be read.
    """
    if where is None or isinstance(where, Equal | AnyOf | Range | Prefix | Glob | And | Or | Not):
        return where
    if isinstance(where, Mapping):
        return _all([_of_mapping(field, value) for field, value in where.items()])
    return _all([_line(line) for line in ([where] if isinstance(where, str) else where)])


def _all(parts: Sequence[Filter]) -> Filter | None:
    return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else None


def _of_mapping(field: str, value: Scalar | Sequence[Scalar]) -> Filter:
    """Values have their types here, hence mean only themselves."""
    if isinstance(value, str):
        return Glob(field, value) if _is_pattern(value) else Equal(field, value)
    return Equal(field, value) if isinstance(value, int | float) else AnyOf(field, tuple(value))


def _line(line: str) -> Filter:
    parts = [_term(part.strip()) for part in _EITHER.split(line.strip())]
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _term(term: str) -> Filter:
    found = _TERM.fullmatch(term)
    if found is None:
        raise ConfigError(
            f"filter: found {term!r}, expected FIELD=VALUE, or one of != ^= >= <= > < in its place, such as path=src/*"
        )
    field, sign, value = found["field"], found["sign"], found["value"].strip()
    if sign in _BOUNDS:
        part: Filter = Range(field, **{_BOUNDS[sign]: _number(term, value)})
    elif sign == "^=":
        part = Prefix(field, _unquoted(value))
    else:
        part = _alternatives(field, _COMMA.split(value))
    return Not(part) if (sign == "!=") != bool(found["no"]) else part


def _alternatives(field: str, values: Sequence[str]) -> Filter:
    values = [value.strip() for value in values]
    patterns: list[Filter] = [Glob(field, value) for value in values if _is_pattern(value) and not _is_quoted(value)]
    plain = [form for value in values if _is_quoted(value) or not _is_pattern(value) for form in _forms(value)]
    if plain:
        patterns.append(Equal(field, plain[0]) if len(plain) == 1 else AnyOf(field, tuple(plain)))
    return patterns[0] if len(patterns) == 1 else Or(tuple(patterns))


def _forms(value: str) -> list[Scalar]:
    """A word, and the number or truth that it reads as."""
    if _is_quoted(value):
        return [_unquoted(value)]
    if value in ("true", "false"):
        return [value, value == "true"]
    if re.fullmatch(r"-?\d+", value):
        return [value, int(value)]
    return [value, float(value)] if re.fullmatch(r"-?\d*\.\d+(e-?\d+)?", value) else [value]


def _number(term: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"filter: {term!r} compares with {value!r}, expected a number") from None


def _is_pattern(value: str) -> bool:
    return any(sign in value for sign in "*?[")


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def _unquoted(value: str) -> str:
    if not _is_quoted(value):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ConfigError(f'filter: cannot read the quotes in {value}; write \\" for a quote inside') from None
