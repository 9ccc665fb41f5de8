import base64
import threading

import numpy as np
import pytest

from modernbert.retrieval.embedder import Embedder
from support.retrieval import texts_of
from support.served import TEXTS, client, folder_of


def _python(texts, **options):
    return Embedder.from_pretrained(folder_of("words"), dtype="float32").encode(
        texts, normalize_embeddings=True, **options
    )


def _ask(body, **settings):
    return client("words", **settings).post("/v1/embeddings", json=body)


def _vectors(answer):
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [each["index"] for each in data] == list(range(len(data)))
    return np.array([each["embedding"] for each in data], dtype=np.float32)


def test_vectors_are_pythons():
    answer = _ask({"input": TEXTS, "model": "words"})
    np.testing.assert_allclose(_vectors(answer), _python(TEXTS), atol=1e-5)
    tokens = sum(map(len, client("words").app.state.models.find(None, "embed").tokenizer.encode(TEXTS).ids))
    assert answer.json()["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert (answer.json()["object"], answer.json()["model"]) == ("list", "words")


def test_a_single_text_is_one_vector_and_no_model_is_the_first_that_can():
    answer = _ask({"input": TEXTS[0]})
    np.testing.assert_allclose(_vectors(answer), _python(TEXTS[:1]), atol=1e-5)
    assert answer.json()["model"] == "words"


def test_dimensions_are_the_first_ones_at_length_one():
    found = _vectors(_ask({"input": TEXTS, "dimensions": 7}))
    np.testing.assert_allclose(found, _python(TEXTS, truncate_dim=7), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    refused = _ask({"input": "a", "dimensions": 129})
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "truncate_dim: found 129, expected 1 to 128"


def test_base64_holds_the_same_numbers():
    plain, coded = (_ask({"input": TEXTS, "encoding_format": kind}) for kind in ("float", "base64"))
    rows = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in coded.json()["data"]]
    np.testing.assert_allclose(np.stack(rows), _vectors(plain), atol=1e-7)


def test_token_ids_are_texts_already_cut():
    tokenizer = Embedder.from_pretrained(folder_of("words")).tokenizer
    ids = tokenizer.encode(TEXTS, special=False).ids
    np.testing.assert_allclose(_vectors(_ask({"input": ids})), _python(TEXTS), atol=1e-5)
    np.testing.assert_allclose(_vectors(_ask({"input": ids[0]})), _python(TEXTS[:1]), atol=1e-5)


def test_a_prompt_is_put_before_texts_where_the_server_or_the_request_says_so():
    prompted = _python(["find: a"])
    for answer in (_ask({"input": "a"}, default_prompt="find: "), _ask({"input": "find: a", "prompt_name": "query"})):
        np.testing.assert_allclose(_vectors(answer), prompted, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"input": []}, 400, "input: found none, expected one or more"),
        ({"input": ["a"] * 33}, 413, "input: found 33, expected 32 or fewer"),
        ({"input": [3, -1]}, 422, "input: expected"),
        ({"input": [3, 2**40]}, 422, "input: expected"),
        ({"input": [3, 448]}, 422, "document 0: found the token 448, expected 0 to 447"),
        ({"input": [3.5]}, 422, "input: expected"),
        ({"input": None}, 422, "input: expected"),
        ({"input": ["a", 3]}, 422, "input: expected"),
        ({"model": "words"}, 422, "input: Field required"),
        ({"input": "a", "model": "gpt"}, 404, "model: found 'gpt' for embed, expected one of words"),
        ({"input": "a", "dimensions": 0}, 422, "dimensions: expected greater than or equal to 1"),
        ({"input": "a", "encoding_format": "int8"}, 422, "encoding_format: expected 'float' or 'base64'"),
        ({"input": "word " * 2000}, 413, "text 0 has"),
        ({"input": [5] * 2000}, 413, "document 0 has 2,002 tokens, expected 1,024 or fewer"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_meant_is_refused_in_openais_shape(body, status, said):
    answer = _ask(body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"].startswith(said)


def test_vectors_are_the_same_alone_in_a_batch_and_under_load():
    texts = [*texts_of(), *(f"{'word ' * (n % 90)}{n}" for n in range(60))]
    truth, found = _python(texts), {}
    app = client("words")

    def one(number):
        found[number] = _vectors(app.post("/v1/embeddings", json={"input": texts[number]}))[0]

    threads = [
        threading.Thread(target=lambda part=part: [one(n) for n in part])
        for part in np.arange(len(texts)).reshape(8, -1)
    ]
    for thread in threads:
        thread.start()
    together = [
        _vectors(app.post("/v1/embeddings", json={"input": texts[i : i + 32]})) for i in range(0, len(texts), 32)
    ]
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(np.stack([found[n] for n in range(len(texts))]), truth, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(together), truth, atol=1e-5)


def test_models_are_listed():
    served = client("words", "entities")
    cards = served.get("/v1/models").json()
    assert [each["id"] for each in cards["data"]] == ["words", "entities"]
    assert served.get("/v1/models/entities").json() == cards["data"][1]
    missing = served.get("/v1/models/none/such")
    assert missing.status_code == 404
    assert missing.json()["error"]["message"] == "model: found 'none/such', expected one of words, entities"
