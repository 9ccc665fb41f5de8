"""Documents from files, folders and stores: JSON Lines, Parquet, Arrow, plain text; compressed or not, here or far away.

Everything streams: a line or a small batch of rows is in memory, never a file (but a plain text file is one document).
The order is that of the paths given; folders and patterns are sorted. Not for repairing text: what is broken is refused
with its place, or left out and counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from modernbert.core.errors import UserError
from modernbert.data import _tables
from modernbert.data._faults import Faults
from modernbert.data._lines import json_rows, text_row, text_rows
from modernbert.data._places import TABLES, Place, format_of, places
from modernbert.data._rows import Fields, Row, to_document


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a name."""

    id: str
    """The row's own; or the file and the number of the line or row, `news.jsonl:17`; of a text file, its name."""
    text: str
    source: str
    """The file it was read from, as given."""


def read_documents(
    paths: Sequence[str],
    *,
    text_field: str = "text",
    id_field: str = "id",
    on_error: Literal["stop", "skip"] = "stop",
    per_line: bool = False,
) -> Iterator[Document]:
    """Stream the documents of files, folders, patterns (`news/**/*.jsonl.zst`) and addresses (`s3://`, `gs://`, `hf://`).

    The suffix says what a file holds, after one of compression (.gz .bz2 .xz .zst): .jsonl .ndjson .json are an object a
    line, .parquet and .arrow are tables, anything else that is named or matched is plain text, one document a file. A
    folder gives the files whose suffix is known (those, .txt and .md), hidden ones left out; a folder that
    `datasets.save_to_disk` wrote gives its rows in order.

    Args:
        paths: Read in this order.
        text_field: Key or column of the text.
        id_field: Key or column of the id; a row without one is named by its place.
        on_error: "skip" leaves out rows, or the rest of a file, that cannot be read; how many is a warning at the end.
            A file that is not there stops in any case.
        per_line: Plain text files hold a document a line; empty lines are none.

    Raises:
        UserError: anything that cannot be read, with file and line; or there is no document at all.
    """
    if isinstance(paths, str):
        raise UserError(f"paths is one string, expected several: write [{paths!r}]")
    fields = Fields(text=text_field, id=id_field)
    faults = Faults(skip=on_error == "skip")
    num_documents = 0
    for place in places(paths):
        for row in _rows(place, fields, faults, per_line=per_line):
            if (named := to_document(row, fields, faults)) is not None:
                num_documents += 1
                yield Document(*named, source=place.name)
    faults.report(num_documents)
    if not num_documents:
        raise UserError(
            f"{', '.join(map(str, paths)) or 'no path'}: there is no document in it, expected one or more: check the path"
            f"{f'; the first fault: {faults.first}' if faults.first else ''}"
        )


def _rows(place: Place, fields: Fields, faults: Faults, *, per_line: bool) -> Iterator[Row]:
    kind = format_of(place.name)
    if kind in TABLES:
        return _tables.rows(place, kind, fields, faults)
    if kind == "json":
        return json_rows(place, faults)
    return text_rows(place, fields, faults) if per_line else text_row(place, fields, faults)
