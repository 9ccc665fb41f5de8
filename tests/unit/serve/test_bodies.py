from typing import Any

import pytest

from support.served import client


def refused(path: str, body: dict[str, Any]) -> tuple[int, str]:
    answer = client().post(path, json=body)
    found = answer.json()
    return answer.status_code, found["error"] if isinstance(found["error"], str) else found["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/fill-mask", {"inputs": "[MASK]", "top_n": {}}, 422, "top_n: Extra inputs are not permitted"),
        ("/fill-mask", {"inputs": "[MASK]", "parameters": {"top_k": 0}}, 422, "top_k: expected greater than or equal to 1"),
        ("/fill-mask", {"inputs": "[MASK]", "parameters": {"top_k": "5"}}, 422, "top_k: expected a valid integer"),
        ("/classify", {"inputs": []}, 400, "inputs: found none, expected one or more"),
        ("/classify", {"inputs": ["a"] * 33}, 413, "inputs: found 33, expected 32 or fewer: send them in parts"),
        ("/rerank", {"query": "a", "texts": []}, 400, "texts: found none, expected one or more"),
        ("/rerank", {"query": "a", "texts": ["a"] * 33}, 413, "texts: found 33, expected 32 or fewer"),
        ("/v1/rerank", {"query": "a", "documents": ["a"] * 33}, 413, "documents: found 33, expected 32 or fewer"),
        ("/rerank", {"query": "a", "texts": ["a"], "truncation_direction": "left"}, 422, "expected 'right'"),
        ("/classify", {"inputs": "a", "model": "words"}, 404, "'words' for classify, expected one of sentiment"),
        ("/classify", {"inputs": "a", "model": "x" * 301}, 422, "model: String should have at most 300 characters"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_meant_is_told_which_part_and_which_limit(path, body, status, sentence):
    found = refused(path, body)
    assert found[0] == status
    assert sentence in found[1]


def test_keys_of_foreign_clients_that_mean_nothing_here_are_passed_over():
    body = {"query": "a", "documents": ["a"], "rank_fields": ["text"], "max_chunks_per_doc": 10}
    assert client().post("/v1/rerank", json=body).status_code == 200


def test_a_lone_surrogate_is_refused_and_every_plane_of_unicode_is_not():
    for path, name in (("/tokenize", "inputs"), ("/classify", "inputs"), ("/tag", "inputs"), ("/late/embed", "inputs")):
        lone = client().post(path, content=f'{{"{name}": "a\\ud800b"}}', headers={"content-type": "application/json"})
        assert lone.status_code == 422, path
        every = "".join(map(chr, (0, 7, 0x7F, 0xE9, 0x3042, 0xFFFE, 0x1D516, 0x2B81D, 0x30000, 0xE0041, 0x10FFFF)))
        assert client().post(path, json={name: every}).status_code == 200, path
