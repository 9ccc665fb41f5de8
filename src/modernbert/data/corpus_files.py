"""A corpus file by file, for whoever writes one result a file: which files there are, and the rows of one.

Unlike `sources.py`, a bad row is handed over with its reason and the next is read; a file that breaks off is refused.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from modernbert.core.errors import UserError
from modernbert.data import _tables
from modernbert.data._faults import Faults
from modernbert.data._lines import json_rows, text_row
from modernbert.data._places import TABLES, Place, format_of, places
from modernbert.data._rows import Fields, Row, to_document

_MAGIC = "*?["


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFile:
    """One file of a corpus. It may be sent to another process."""

    path: str
    """As it can be opened."""
    name: str
    """Its path below the corpus, which stays the same when the corpus grows."""
    size: int
    """Bytes as stored."""


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """A row that can be read."""

    number: int
    """Of the row or line in the file, from 1."""
    id: str
    text: str
    values: dict[str, object]
    """All that was read of it: every key of a JSON line; of a table, id, text and what was asked for."""


def corpus_files(path: str) -> list[CorpusFile]:
    """The files behind a path, a folder, a pattern or an address, in order.

    Raises:
        UserError: there is none, one is of a kind that holds no text, or the store cannot be asked.
    """
    top = _top(path)
    found = []
    for place in places([path]):
        format_of(place.name)
        if place.store is None and not os.path.exists(place.name):
            raise UserError(f"{place.name}: there is no such file: check the path")
        found.append(CorpusFile(path=place.name, name=_below(top, place), size=_size(place)))
    return found


class CorpusReader:
    """Reads one file once. State: how far it is."""

    def __init__(
        self, file: CorpusFile, *, text_field: str = "text", id_field: str = "id", also: tuple[str, ...] = ()
    ) -> None:
        """Begin; nothing is opened before the first row.

        Args:
            also: columns of a table to read besides.
        """
        self.file = file
        (place,) = places([file.path])
        self._place = _Watched(place)
        self._fields = Fields(text=text_field, id=id_field)
        self._also = also

    @property
    def share(self) -> float:
        """How much of the file has been read, by the bytes behind it."""
        position = self._place.position
        return 1.0 if position is None else min(1.0, position / max(1, self.file.size))

    def rows(self, on_fault: Callable[[str, str], None]) -> Iterator[CorpusRow]:
        """The rows that can be read, in order.

        Args:
            on_fault: told where a bad row is, and what is wrong with it.

        Raises:
            UserError: the file cannot be read at all, breaks off, or has no such column.
        """
        faults = _Noted(on_fault)
        for row in self._rows(faults):
            if (named := to_document(row, self._fields, faults)) is not None:
                yield CorpusRow(row.number, *named, row.values)

    def _rows(self, faults: Faults) -> Iterator[Row]:
        place: Place = self._place  # type: ignore[assignment]
        kind = format_of(place.name)
        if kind in TABLES:
            return _tables.rows(place, kind, self._fields, faults, also=self._also)
        return json_rows(place, faults) if kind == "json" else text_row(place, self._fields, faults)


class _Noted(Faults):
    """Hands faults over; what breaks the file off is refused, for half a file must not pass for a whole one."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        super().__init__(skip=False)
        self._note = note

    def meet(self, where: str, fault: str) -> None:
        self._note(where, fault)

    def breaks(self, where: str, fault: str) -> None:
        raise UserError(f"{where}: {fault}")


class _Watched:
    """A place that knows how far its file has been read."""

    def __init__(self, place: Place) -> None:
        self.name = place.name
        self._place = place
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        self._file = self._place.open()
        return self._file

    @property
    def position(self) -> int | None:
        """Bytes; absent when all has been read and the file closed."""
        if self._file is None:
            return 0
        try:
            return None if self._file.closed else self._file.tell()
        except (OSError, ValueError):  # closed this very moment
            return None


def _top(path: str) -> str:
    """The folder that names are told from: before the first part with a wildcard; of a single file its own folder.

    >>> _top("s3://bucket/crawl/*/part-*.parquet"), _top("news/a.jsonl")
    ('s3://bucket/crawl', 'news')
    """
    if "://" not in path and os.path.isdir(path):
        return path.rstrip("/")
    protocol, separator, inside = path.rpartition("://")
    parts = inside.split("/")
    first = next((number for number, part in enumerate(parts) if any(sign in part for sign in _MAGIC)), None)
    if first is None:
        is_file = PurePosixPath(inside).suffix != ""
        first = len(parts) - 1 if is_file else len(parts)
    return protocol + separator + "/".join(parts[:first])


def _below(top: str, place: Place) -> str:
    """The name of a file, told from the folder above."""
    name = place.name
    if place.store is not None:  # one spells an address as the user does, the other as the store does
        top, name = (str(place.store._strip_protocol(each)) for each in (top, name))
    return name.removeprefix(top).lstrip("/")


def _size(place: Place) -> int:
    try:
        if place.store is None:
            return os.path.getsize(place.name)
        return int(place.store.size(place.name) or 0)
    except OSError:
        return 0  # opening it says what is wrong
