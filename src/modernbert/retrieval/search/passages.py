"""Chunks as records of an index, and back.

A record's text is what BM25 reads: the header (path, title, headings, signatures) and the chunk. Its metadata are what filters
ask for (`path` in its root, `root`, `kind`, `symbol`, and all that the document says of itself, which wins where names
are the same), and under `chunk` what is needed to have the chunk again.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.documents.find import Root
from modernbert.retrieval.index.record import Record
from modernbert.retrieval.search.encoders import Vectors

_CHUNK = "chunk"
_BETWEEN = "\n\n"


def record_of(chunk: Chunk, roots: Sequence[Root], vectors: Vectors) -> Record:
    """With paths as seen from the roots, so that the whole may move."""
    root, inside = _place(chunk.path, roots)
    filters: dict[str, Json] = {"path": inside or os.path.basename(chunk.path), "root": root, "kind": chunk.kind}
    if chunk.symbol:
        filters["symbol"] = chunk.symbol
    ours: list[Json] = [name for name in filters if name not in chunk.metadata]
    own: dict[str, Json] = {
        "document": chunk.document, "inside": inside, "root": root, "start": chunk.start, "first_line": chunk.first_line,
        "last_line": chunk.last_line, "header": len(chunk.header), "kind": chunk.kind, "symbol": chunk.symbol,
        "occurrence": chunk.occurrence, "filters": ours,
    }  # fmt: skip
    text = chunk.header + _BETWEEN + chunk.text if chunk.header else chunk.text
    return Record(chunk.id, text, vectors[0], vectors[1], {**filters, **chunk.metadata, _CHUNK: own})


def chunk_of(text: str, metadata: Mapping[str, Json], roots: Sequence[Root]) -> Chunk:
    """What `record_of` was given."""
    own = _own(metadata)
    length = own["header"]
    path = next((os.fspath(root.path) for root in roots if root.name == own["root"]), own["root"])
    return Chunk(
        document=own["document"],
        path=os.path.join(path, own["inside"]) if own["inside"] else path,
        start=own["start"],
        first_line=own["first_line"],
        last_line=own["last_line"],
        text=text[length + len(_BETWEEN) :] if length else text,
        header=text[:length],
        kind=own["kind"],
        symbol=own["symbol"],
        occurrence=own["occurrence"],
        metadata={name: value for name, value in metadata.items() if name not in (*own["filters"], _CHUNK)},
    )


def path_inside(metadata: Mapping[str, Json]) -> str:
    """The file's path in its root."""
    own = _own(metadata)
    return str(own["inside"] or own["root"])


def _own(metadata: Mapping[str, Json]) -> dict[str, Any]:
    """Of values that `record_of` wrote, whose types are known to be right."""
    return cast("dict[str, Any]", metadata[_CHUNK])


def _place(path: str, roots: Sequence[Root]) -> tuple[str, str]:
    """Which root a file is of, and where in it."""
    for root in sorted(roots, key=lambda root: -len(os.fspath(root.path))):
        if path == os.fspath(root.path):
            return root.name, ""
        if Path(path).is_relative_to(root.path):
            return root.name, Path(path).relative_to(root.path).as_posix()
    raise AssertionError(f"{path} is of no root")
