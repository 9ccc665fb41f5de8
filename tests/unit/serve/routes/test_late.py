import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load

from modernbert.retrieval.late import LateInteraction
from support.served import TEXTS, client, folder_of


@pytest.fixture(scope="module")
def late():
    return LateInteraction.from_pretrained(folder_of("late"), dtype="float32")


def test_vectors_are_pythons_as_json_and_binary(late):
    told = client().post("/late/embed", json={"inputs": TEXTS}).json()
    binary = client().post("/late/embed", json={"inputs": TEXTS, "encoding_format": "safetensors"})
    assert binary.headers["content-type"] == "application/octet-stream"
    tensors = load(binary.content)
    for number, row in enumerate(late.encode_document(TEXTS)):
        np.testing.assert_allclose(np.array(told[number]).reshape(row.shape), row, atol=1e-5)
        start, end = tensors["offsets"][number : number + 2]
        np.testing.assert_allclose(tensors["vectors"][start:end], row, atol=1e-5)
    assert tensors["offsets"][-1] == len(tensors["vectors"])


def test_the_binary_form_is_read_as_the_docstring_says():
    content = client().post("/late/embed", json={"inputs": TEXTS, "encoding_format": "safetensors"}).content
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    start, end = header["vectors"]["data_offsets"]
    assert (8 + size + start) % 4 == 0, "a Float32Array needs it"
    vectors = np.frombuffer(content[8 + size + start : 8 + size + end], "<f4").reshape(header["vectors"]["shape"])
    np.testing.assert_array_equal(vectors, load(content)["vectors"])
    assert header["__metadata__"] == {"kind": "document"}


def test_queries_pooling_and_half_precision(late):
    asked = client().post("/late/embed", json={"inputs": "a bell", "kind": "query"}).json()
    np.testing.assert_allclose(asked[0], late.encode_query(["a bell"])[0], atol=1e-5)
    body = {"inputs": TEXTS[0], "pool_factor": 3, "encoding_format": "safetensors", "dtype": "float16"}
    half = load(client().post("/late/embed", json=body).content)["vectors"]
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, late.encode_document(TEXTS[:1], pool_factor=3)[0], atol=1e-3)
    long = {"inputs": "word " * 2000}
    assert client().post("/late/embed", json=long).status_code in (413, 422)
    assert client().post("/late/embed", json={**long, "truncate": True}).status_code == 200


def test_matches_add_up_to_the_score_and_stand_where_they_say(late):
    found = client().post("/late/match", json={"query": "a bell", "documents": TEXTS}).json()
    assert found["query"] == late.query_tokens("a bell")
    scores = late.similarity(late.encode_query(["a bell"]), late.encode_document(TEXTS))[0]
    for document, score, text in zip(found["documents"], scores, TEXTS, strict=True):
        assert document["score"] == pytest.approx(score, abs=1e-4)
        assert sum(match["similarity"] for match in document["matches"]) == pytest.approx(score, abs=1e-4)
        assert len(document["matches"]) == len(found["query"])
        assert all(text[match["start"] : match["end"]] == match["text"] for match in document["matches"])
