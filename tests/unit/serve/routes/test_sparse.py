import pytest

from modernbert.retrieval.sparse import SparseEncoder
from support.served import TEXTS, client, folder_of


def test_weights_are_pythons():
    found = client().post("/embed_sparse", json={"inputs": TEXTS}).json()
    rows = SparseEncoder.from_pretrained(folder_of("sparse"), dtype="float32").encode(TEXTS)
    for row, expected in zip(found, rows, strict=True):
        assert [each["index"] for each in row] == expected.indices.tolist()
        assert [each["value"] for each in row] == pytest.approx(expected.data.tolist(), abs=1e-5)
    assert client().post("/embed_sparse", json={"inputs": "a"}).json()[0]
