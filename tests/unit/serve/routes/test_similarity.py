import numpy as np
import pytest

from modernbert.retrieval.embedder import Embedder
from support.served import TEXTS, client, folder_of


def test_sentences_are_compared_by_the_cosine_of_pythons_vectors():
    body = {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}}
    found = client().post("/similarity", json=body).json()
    vectors = Embedder.from_pretrained(folder_of("words"), dtype="float32").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found, vectors @ vectors[0], atol=1e-5)
    assert found[0] == pytest.approx(1, abs=1e-5)


def test_a_prompt_that_the_model_does_not_have_is_refused():
    body = {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {"prompt_name": "nobody's"}}
    answer = client().post("/similarity", json=body)
    assert answer.status_code == 422
    assert 'prompt_name: found "nobody\'s", expected one of query, document' in answer.json()["error"]
