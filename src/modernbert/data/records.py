"""Rows with all of their columns, for labelled data: JSON Lines, CSV, Parquet, Arrow; compressed or not, here or far away.

Unlike `sources.py`, which streams one column of anything, a labelled set is read whole and every fault stops.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from modernbert.core.errors import UserError
from modernbert.data._faults import Faults
from modernbert.data._lines import json_rows
from modernbert.data._places import Place, format_of, places
from modernbert.data._tables import whole_rows
from modernbert.data._unpack import unpacked

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True, slots=True)
class Record:
    """One row."""

    values: dict[str, object]
    """By column; CSV gives strings."""
    where: str
    """For messages: `reviews.csv, line 17`."""


def read_records(path: str) -> Iterator[Record]:
    """The rows of a file, a folder, a pattern or an address (`s3://`), in order.

    A CSV's first line names the columns; quoted fields may hold line ends.

    Raises:
        UserError: it cannot be read, with file and line; or a line of a CSV has more or fewer fields than its first.
    """
    faults = Faults(skip=False)
    for place in _places(path):
        separator = _separator(place.name)
        if separator:
            yield from _separated(place, separator)
            continue
        kind = format_of(place.name)
        if kind == "text":
            raise UserError(f"{place.name}: found plain text, expected labelled rows: .jsonl, .csv, .tsv or .parquet")
        rows = json_rows(place, faults) if kind == "json" else whole_rows(place, kind, faults)
        for row in rows:
            yield Record(row.values, row.where)


def _places(path: str) -> Iterator[Place]:
    if _separator(path) and "*" not in path and "://" not in path:
        yield Place(path)
    else:
        yield from places([path])


def _separator(name: str) -> str | None:
    name = name.lower()
    for packed in _COMPRESSED:
        name = name.removesuffix(packed)
    return next((mark for suffix, mark in _SEPARATORS.items() if name.endswith(suffix)), None)


def _separated(place: Place, separator: str) -> Iterator[Record]:
    csv.field_size_limit(2**31 - 1)  # a document is one field, and the default is 128 KB
    with unpacked(place) as stream:
        lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), delimiter=separator, strict=True)  # type: ignore[arg-type]
        try:
            names = next(lines, None)
            if not names:
                raise UserError(f"{place.name}: is empty, expected a first line that names the columns")
            for fields in lines:
                if not fields:
                    continue
                where = f"{place.name}, line {lines.line_num}"
                if len(fields) != len(names):
                    raise UserError(
                        f"{where}: found {len(fields)} fields, expected {len(names)} as in the first line "
                        f"({', '.join(names)}): quote fields that hold {separator!r} or a line end"
                    )
                yield Record(dict(zip(names, fields, strict=True)), where)
        except (csv.Error, UnicodeDecodeError, EOFError, OSError) as error:
            raise UserError(
                f"{place.name}, line {lines.line_num}: cannot be read ({error}), expected UTF-8 fields between "
                f"{separator!r}: convert or mend it first"
            ) from None
