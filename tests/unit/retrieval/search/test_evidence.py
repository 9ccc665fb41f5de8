import numpy as np
import pytest

from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.search.evidence import tokens


@pytest.mark.parametrize(("header", "empty"), [("", ""), ("A > B", ""), ("", "\n\n"), ("A", "\n")])
def test_matched_tokens_are_marked_in_the_text_and_not_in_the_header(header, empty):
    chunk = Chunk(
        document="d", path="p", start=0, first_line=1, last_line=1, text=f"{empty}one two\n", header=header, kind="prose"
    )  # fmt: skip
    read = chunk.with_header
    spans = [(0, 0), (0, len(header)), *((read.index(word), read.index(word) + 3) for word in ("one", "two"))]
    query = np.array([[0, 0, 1, 0], [0, 0, 0, 0.5], [1, 0, 0, 0], [0, 1, 0, 0]], dtype=np.float32)
    found = tokens(query, np.eye(4, dtype=np.float32), spans, chunk)
    assert [(chunk.text[start:end], weight) for start, end, weight in found] == [("one", 1.0), ("two", 0.5)]
