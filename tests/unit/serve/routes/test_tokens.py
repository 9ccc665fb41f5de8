import pytest

from modernbert.text.tokenizer import Tokenizer
from support.served import TEXTS, client, folder_of


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(folder_of("words"))


def test_places_count_code_points_and_cut_the_right_text(tokenizer):
    found = client().post("/tokenize", json={"inputs": TEXTS}).json()
    for text, ids, row in zip(TEXTS, tokenizer.encode(TEXTS).ids, found, strict=True):
        assert [each["id"] for each in row] == ids
        assert [each["special"] for each in row] == [token_id in tokenizer.special_ids for token_id in ids]
        assert (row[0]["text"], row[0]["start"], row[0]["stop"]) == ("[CLS]", None, None)
        for each in row[1:-1]:
            assert text[each["start"] : each["stop"]] == each["text"]
    assert "𝔣" in {each["text"] for each in found[2]}


def test_special_tokens_can_be_left_out_and_a_prompt_put_before():
    plain = client().post("/tokenize", json={"inputs": "a bell", "add_special_tokens": False}).json()[0]
    assert not any(each["special"] for each in plain)
    assert client().post("/tokenize", json={"inputs": "a", "prompt_name": "query"}).status_code == 200
    assert client().post("/tokenize", json={"inputs": "a", "prompt_name": "none"}).status_code == 422


def test_ids_become_text_again(tokenizer):
    ids = tokenizer.encode([TEXTS[2]]).ids[0]
    assert client().post("/decode", json={"ids": ids}).json() == [TEXTS[2]]
    whole = client().post("/decode", json={"ids": [ids, []], "skip_special_tokens": False}).json()
    assert whole == [tokenizer.decode(ids, special=True), ""]


@pytest.mark.parametrize("ids", ["[-1]", "[1e3]", "[NaN]", "[true]", "[99999999]", "[4294967296]", '["1"]', "[[1], 2]"])
def test_ids_that_are_none_are_refused(ids):
    headers = {"content-type": "application/json"}
    assert client().post("/decode", content=f'{{"ids": {ids}}}', headers=headers).status_code == 422
