import pytest

from modernbert.tasks.fill_mask import MaskFiller
from support.served import client, folder_of


@pytest.fixture(scope="module")
def filler():
    return MaskFiller.from_pretrained(folder_of("words"), dtype="float32")


def test_one_mask_gives_a_list_and_several_give_one_each(filler):
    text = "the [MASK] of [MASK] 🌫️"
    ((first, second),) = filler.fill([text], top_k=3)
    found = client().post("/fill-mask", json={"inputs": text, "parameters": {"top_k": 3}}).json()
    for row, expected in zip(found, (first, second), strict=True):
        assert [each["token"] for each in row] == [guess.token_id for guess in expected]
        assert [each["score"] for each in row] == pytest.approx([guess.score for guess in expected], abs=1e-5)
    one = client().post("/fill-mask", json={"inputs": "the [MASK] of"}).json()
    assert len(one) == 5
    mixed = client().post("/fill-mask", json={"inputs": ["the [MASK] of", text], "parameters": {"top_k": 1}}).json()
    assert [each["token"] for each in mixed[0]] == [one[0]["token"]]
    assert [len(row) for row in mixed[1]] == [1, 1]


def test_the_sequence_has_the_token_where_the_mask_was():
    body = {"inputs": "the [MASK] of [MASK].", "parameters": {"targets": ["in"], "top_k": 1}}
    ((first,), (second,)) = client().post("/fill-mask", json=body).json()
    assert (first["token_str"], first["sequence"]) == (" in", "the in of [MASK].")
    assert second["sequence"] == "the [MASK] of in."
    (start,) = client().post("/fill-mask", json={**body, "inputs": "[MASK] of"}).json()
    assert start["sequence"] == "in of"


def test_a_text_without_a_mask_or_too_long_is_refused_whatever_the_server_cuts():
    none = client().post("/fill-mask", json={"inputs": "nothing"})
    assert (none.status_code, none.json()["error"][:26]) == (422, "text 0 has no [MASK] to fi")
    cutting = client("words", auto_truncate=True)
    assert cutting.post("/fill-mask", json={"inputs": "[MASK] " + "word " * 2000}).status_code in (413, 422)
