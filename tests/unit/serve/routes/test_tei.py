import numpy as np
import pytest

from modernbert.retrieval.embedder import Embedder
from modernbert.serve.routes import tei
from support.served import TEXTS, client, folder_of


def _embedder():
    return Embedder.from_pretrained(folder_of("words"), dtype="float32")


def _ask(path="/embed", **body):
    return client("words").post(path, json=body)


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_vectors_are_pythons_of_length_one_unless_told_otherwise(path):
    np.testing.assert_allclose(
        _ask(path, inputs=TEXTS).json(), _embedder().encode(TEXTS, normalize_embeddings=True), atol=1e-5
    )
    np.testing.assert_allclose(_ask(path, inputs=TEXTS, normalize=False).json(), _embedder().encode(TEXTS), atol=1e-5)
    assert np.shape(_ask(path, inputs="one").json()) == (1, 128)
    assert np.shape(_ask(path, inputs="one", dimensions=5).json()) == (1, 5)


def test_ids_are_texts_already_cut():
    ids = _embedder().tokenizer.encode(TEXTS, special=False).ids
    np.testing.assert_allclose(_ask(inputs=ids).json(), _ask(inputs=TEXTS).json(), atol=1e-6)


def test_the_end_of_a_long_text_is_cut_only_where_the_request_or_the_server_says_so():
    long = "word " * 2000
    refused = _ask(inputs=["a", long])
    assert refused.status_code == 413
    assert "text 1 has" in refused.json()["error"]
    assert 'expected 1,024 or fewer: split it, or say "truncate": true' in refused.json()["error"]
    expected = _embedder().encode([long], normalize_embeddings=True)
    np.testing.assert_allclose(_ask(inputs=long, truncate=True).json(), expected, atol=1e-5)
    cutting = client("words", auto_truncate=True)
    np.testing.assert_allclose(cutting.post("/embed", json={"inputs": long}).json(), expected, atol=1e-5)
    assert cutting.post("/embed", json={"inputs": long, "truncate": False}).status_code == 413


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"inputs": []}, 400, "inputs: found none"),
        ({"inputs": ["a"] * 33}, 413, "inputs: found 33, expected 32 or fewer: send them in parts"),
        ({"inputs": [5, 10**9]}, 422, "document 0: found the token 1000000000, expected 0 to 447"),
        ({"inputs": "a", "prompt_name": "nobody's"}, 422, "prompt_name: found"),
        ({"inputs": "a", "truncation_direction": "Left"}, 422, "truncation_direction: expected 'right' or 'Right'"),
        ({"inputs": "a", "normalise": True}, 422, "normalise: Extra inputs are not permitted"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_cannot_be_meant_is_refused_in_teis_shape(body, status, said):
    answer = _ask(**body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].startswith(said)
    assert answer.json()["error_type"] in ("Validation", "Empty")


def test_a_vector_a_token_is_the_encoders():
    embedder = _embedder()
    found = _ask("/embed_all", inputs=TEXTS).json()
    assert [len(rows) for rows in found] == [len(ids) for ids in embedder.tokenizer.encode(TEXTS).ids]
    for rows, own in zip(found, embedder.encode_tokens(TEXTS), strict=True):
        np.testing.assert_allclose(rows, own, atol=1e-5)


def test_an_answer_that_nobody_could_read_is_refused(monkeypatch):
    monkeypatch.setattr(tei, "MOST_NUMBERS", 1280)
    answer = _ask("/embed_all", inputs="word " * 50)
    assert answer.status_code == 422
    assert "tokens, expected 10 or fewer: give fewer texts at a time" in answer.json()["error"]


def test_a_text_is_tokenized_once(monkeypatch):
    tokenizer, seen = client("words").app.state.models.find(None, "embed").tokenizer, []
    encode = tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda *args, **kwargs: seen.append(args) or encode(*args, **kwargs))
    assert _ask("/embed_all", inputs=TEXTS).status_code == 200
    assert len(seen) == 1
