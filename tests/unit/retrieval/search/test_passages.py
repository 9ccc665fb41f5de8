import os

import numpy as np
import pytest

from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.documents.find import Root
from modernbert.retrieval.search.passages import chunk_of, record_of

VECTORS = (np.ones(2, dtype=np.float32), None)


def _chunk(path, **changes):
    given = {"header": "", "kind": "prose", "document": "docs/a.md", "start": 3, "first_line": 2, "last_line": 4}
    return Chunk(path=path, text="\n\ntext\n", **(given | changes))


@pytest.mark.parametrize(
    "changes",
    [{}, {"header": "a > b"}, {"kind": "function", "symbol": "A.b"}, {"metadata": {"path": "own", "year": 2020}}],
    ids=["plain", "header", "symbol", "metadata"],
)
def test_a_chunk_comes_back_as_it_was(changes):
    chunk, roots = _chunk("/x/docs/a.md", **changes), [Root(path="/x/docs", name="docs")]
    record = record_of(chunk, roots, VECTORS)
    assert chunk_of(record.text, record.metadata, roots) == chunk
    assert record.metadata["path"] == chunk.metadata.get("path", "a.md")


def test_paths_follow_their_root_to_another_place():
    record = record_of(_chunk("/x/docs/sub/a.md"), [Root(path="/x/docs", name="docs")], VECTORS)
    assert chunk_of(record.text, record.metadata, [Root(path="/y/docs", name="docs")]).path == os.path.join(
        "/y/docs", "sub/a.md"
    )
    alone = record_of(_chunk("/x/a.md"), [Root(path="/x/a.md", name="a.md")], VECTORS)
    assert alone.metadata["path"] == "a.md"
    assert chunk_of(alone.text, alone.metadata, [Root(path="/y/a.md", name="a.md")]).path == "/y/a.md"
