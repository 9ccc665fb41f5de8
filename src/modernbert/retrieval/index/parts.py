"""Records as Parquet and back. A part is written once, whole, and never changed.

Columns: id, removed (a tombstone: the id is gone, the rest is empty), hash, text, vector, tokens (float16, row by row, one list
a text), metadata (JSON).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from modernbert.core.errors import UserError, require
from modernbert.core.files import write_atomically
from modernbert.retrieval.index.manifest import Part, Settings
from modernbert.retrieval.index.record import Entry

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

_Row = TypeVar("_Row")
_GROUP = 1024
"""Rows that are read together: few, since `get` wants single ones."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The light columns of a part: enough to know what is where."""

    ids: list[str]
    removed: np.ndarray
    hashes: bytes
    """16 a row."""


def write_part(
    folder: Path, name: str, settings: Settings, groups: Iterable[tuple[Sequence[Entry], Sequence[str]]], commit: int
) -> Part:
    """One part of groups of entries and, after the entries of each, the ids that are gone."""
    pq, schema = require("pyarrow.parquet", extra="retrieval"), _schema(settings)
    rows = 0
    with write_atomically(folder / name) as file:
        with pq.ParquetWriter(
            file, schema, compression="zstd", use_dictionary=False, write_statistics=False, write_page_checksum=True
        ) as writer:
            for entries, removed in groups:
                table = _table(schema, settings, entries, removed)
                writer.write_table(table, row_group_size=_GROUP)
                rows += len(table)
        size = file.tell()
    return Part(name=name, commit=commit, rows=rows, size=size)


def read_keys(folder: Path, part: Part) -> Keys:
    """Who is in a part.

    Raises:
        UserError: it is damaged or missing.
    """
    with _opened(folder, part) as file:
        table = file.read(columns=["id", "removed", "hash"])
        return Keys(table["id"].to_pylist(), table["removed"].to_numpy(), b"".join(table["hash"].to_pylist()))


def read_entries(folder: Path, part: Part, settings: Settings, rows: Sequence[int]) -> Iterator[list[Entry]]:
    """The entries at these rows, which rise, some at a time.

    Raises:
        UserError: the part is damaged or missing.
    """
    return _read(folder, part, rows, None, lambda table: _entries(table, settings))


def read_texts(folder: Path, part: Part, rows: Sequence[int]) -> Iterator[list[str]]:
    """Only the texts of these rows."""
    return _read(folder, part, rows, ["text"], lambda table: table["text"].to_pylist())


def _read(
    folder: Path, part: Part, rows: Sequence[int], columns: list[str] | None, decode: "Callable[[pa.Table], list[_Row]]"
) -> Iterator[list[_Row]]:
    wanted = np.asarray(rows)
    with _opened(folder, part) as file:
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, end)] - start
            if len(inside):
                yield decode(file.read_row_group(group, columns=columns).take(inside))
            start = end


@contextmanager
def _opened(folder: Path, part: Part) -> "Iterator[ParquetFile]":
    pa, pq = require("pyarrow", extra="retrieval"), require("pyarrow.parquet", extra="retrieval")
    path = folder / part.name
    try:
        found = path.stat().st_size
        if found != part.size:
            raise OSError(f"found {found:,} bytes, expected {part.size:,}")
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:  # damaged footers name no columns
        reason = "it is missing" if isinstance(error, FileNotFoundError) else str(error).strip().split("\n")[0]
        raise DamagedPartError(
            f"{path}: this part of the index is damaged ({reason}): copy it back from a backup, or index the texts again "
            "into another folder"
        ) from None


class DamagedPartError(UserError):
    """A Parquet part is not what was written."""


def _schema(settings: Settings) -> "pa.Schema":
    pa = require("pyarrow", extra="retrieval")
    return pa.schema(
        {
            "id": pa.string(),
            "removed": pa.bool_(),
            "hash": pa.binary(16),
            "text": pa.large_string(),
            "vector": pa.list_(pa.float32(), settings.vector_size),
            "tokens": pa.large_list(pa.float16()),
            "metadata": pa.large_string(),
        }
    )


def _table(schema: "pa.Schema", settings: Settings, entries: Sequence[Entry], removed: Sequence[str]) -> "pa.Table":
    pa = require("pyarrow", extra="retrieval")
    gone = len(removed)
    vectors = np.zeros((len(entries) + gone, settings.vector_size), dtype=np.float32)
    for row, entry in enumerate(entries):
        vectors[row] = entry.vector
    return pa.table(
        [
            [*(entry.id for entry in entries), *removed],
            [False] * len(entries) + [True] * gone,
            [*(entry.hash for entry in entries), *[bytes(16)] * gone],
            [*(entry.text for entry in entries), *[None] * gone],
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), settings.vector_size),
            _tokens([*(entry.tokens for entry in entries), *[None] * gone]),
            [*(entry.metadata for entry in entries), *[None] * gone],
        ],
        schema=schema,
    )


def _tokens(arrays: Sequence[np.ndarray | None]) -> "pa.Array":
    pa = require("pyarrow", extra="retrieval")
    flat = [array.reshape(-1) for array in arrays if array is not None]
    lengths = [0 if array is None else array.size for array in arrays]
    return pa.LargeListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)),
        pa.array(np.concatenate([*flat, np.zeros(0, dtype=np.float16)])),
        mask=pa.array([array is None for array in arrays], type=pa.bool_()),
    )


def _entries(table: "pa.Table", settings: Settings) -> list[Entry]:
    table = table.combine_chunks()
    vectors = np.asarray(table["vector"].combine_chunks().flatten()).reshape(-1, settings.vector_size)
    tokens = [
        None if one is None else np.array(one, dtype=np.float16).reshape(-1, settings.tokens_size or 1)
        for one in _lists(table["tokens"].combine_chunks())
    ]
    columns = (table["id"].to_pylist(), table["text"].to_pylist(), vectors, tokens, table["metadata"].to_pylist())
    return [Entry(*row) for row in zip(*columns, strict=True)]


def _lists(column: "pa.LargeListArray") -> Iterator[np.ndarray | None]:
    """The rows of a list column, without a Python object a number."""
    values, offsets, missing = column.values.to_numpy(), column.offsets.to_numpy(), column.is_null().to_numpy(False)
    for row in range(len(column)):
        yield None if missing[row] else values[offsets[row] : offsets[row + 1]]
