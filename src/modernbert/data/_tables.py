"""Rows from Parquet and Arrow files, a small batch in memory at a time, and only the columns that are asked for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modernbert.core.errors import UserError, require
from modernbert.data._faults import Faults
from modernbert.data._places import Format, Place
from modernbert.data._rows import Fields, Row, missing

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 256
"""Rows of a Parquet batch: long documents are 1 MB each."""


def rows(place: Place, kind: Format, fields: Fields, faults: Faults, *, also: tuple[str, ...] = ()) -> Iterator[Row]:
    """The rows of a table, in order.

    Args:
        also: columns to read besides those of the fields, where the table has them.
    """
    batches = _batches(place, kind, fields, also)
    number = 0
    while True:
        try:
            batch = next(batches, None)
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 (pyarrow's, or the store's)
            return faults.breaks(f"{place.name}, after row {number}", _damaged(kind, error))
        if batch is None:
            return None
        names = [name for name in dict.fromkeys((fields.text, fields.id, *also)) if name in batch.schema.names]
        columns = [batch.column(name) for name in names]
        for i in range(batch.num_rows):
            number += 1
            where = f"{place.name}, row {number}"
            try:
                values = {name: column[i].as_py() for name, column in zip(names, columns, strict=True)}
            except UnicodeDecodeError as error:
                faults.meet(
                    where, f"byte 0x{error.object[error.start]:02X} at {error.start} is not UTF-8: convert it first"
                )
                continue
            yield Row(values, where, f"{place.name}:{number}", number)


def whole_rows(place: Place, kind: Format, faults: Faults) -> Iterator[Row]:
    """The rows of a table with all of their columns."""
    number = 0
    try:
        for batch in _batches(place, kind, None):
            for values in batch.to_pylist():
                number += 1
                yield Row(values, f"{place.name}, row {number}", f"{place.name}:{number}", number)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 (pyarrow's, or the store's)
        faults.breaks(f"{place.name}, after row {number}", _damaged(kind, error))


def _batches(
    place: Place, kind: Format, fields: Fields | None, also: tuple[str, ...] = ()
) -> Iterator["pa.RecordBatch"]:
    require("pyarrow", extra="data")
    with place.open() as file:
        if kind == "parquet":
            import pyarrow.parquet as pq

            table = pq.ParquetFile(file, pre_buffer=False)  # it would hold a whole row group's bytes
            columns = _check(place, table.schema_arrow, fields, also)
            yield from table.iter_batches(batch_size=_ROWS, columns=columns)
        else:
            import pyarrow.ipc as ipc

            is_random_access = file.read(6) == b"ARROW1"
            file.seek(0)
            if is_random_access:
                with ipc.open_file(file) as table:
                    _check(place, table.schema, fields)
                    yield from (table.get_batch(i) for i in range(table.num_record_batches))
            else:
                with ipc.open_stream(file) as table:
                    _check(place, table.schema, fields)
                    yield from table


def _check(place: Place, schema: "pa.Schema", fields: Fields | None, also: tuple[str, ...] = ()) -> list[str] | None:
    """Which of the columns to read, all without `fields`; the text must be there, and be text."""
    if fields is None:
        return None
    import pyarrow.types as types

    if fields.text not in schema.names:
        raise UserError(f"{place.name}: {missing(fields.text, schema.names)}")
    kind = schema.field(fields.text).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise UserError(f"{place.name}: column {fields.text!r} is of type {kind}, expected text: convert it first")
    return [name for name in dict.fromkeys((fields.text, fields.id, *also)) if name in schema.names]


def _damaged(kind: Format, error: Exception) -> str:
    return (
        f"cannot be read as {kind} ({str(error).splitlines()[0] if str(error) else type(error).__name__}): get it anew"
    )
