"""What may go into an index, and what is refused before anything is written."""

import json
from dataclasses import replace

import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.index.record import Entry, Record, finite

GOOD = Record("a", "text", np.ones(3), np.ones((2, 2)), {"n": 1, "list": ["x", None, {"deep": True}]})


def entry(record: Record, tokens_size: int | None = 2) -> Entry:
    return Entry.of(record, vector_size=3, tokens_size=tokens_size)


def test_a_record_comes_back_as_it_was_given():
    kept = entry(GOOD).record
    assert (kept.id, kept.text, kept.metadata) == ("a", "text", GOOD.metadata)
    assert (kept.vector.dtype, kept.tokens.dtype) == (np.float32, np.float16)


@pytest.mark.parametrize(
    "changed",
    [{"text": "tex"}, {"vector": np.array([1, 1, 2])}, {"tokens": None}, {"tokens": np.ones((1, 2))}, {"metadata": {}}],
    ids=["text", "vector", "no tokens", "fewer tokens", "metadata"],
)
def test_the_hash_changes_with_everything_but_the_id(changed):
    assert entry(replace(GOOD, **changed)).hash != entry(GOOD).hash
    assert entry(replace(GOOD, id="b")).hash == entry(GOOD).hash


def test_the_order_of_keys_does_not_change_the_hash():
    turned = replace(GOOD, metadata=dict(reversed(GOOD.metadata.items())))
    assert entry(turned).hash == entry(GOOD).hash


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"id": ""}, "record '': an id is a string that is not empty"),
        ({"id": 3}, "record 3: an id is a string"),
        ({"text": "a\ud800"}, "record 'a': text: character 1 is half a surrogate pair"),
        ({"vector": np.ones(2)}, r"vector: found float64 of shape \(2,\), expected 3 numbers"),
        ({"vector": np.array(["a"] * 3)}, r"vector: found <U1 of shape \(3,\), expected 3 numbers"),
        ({"vector": np.array([1, np.nan, 1])}, "vector: found NaN or infinity, expected finite numbers"),
        ({"tokens": np.ones((2, 3))}, r"tokens: found float64 of shape \(2, 3\), expected any x 2 numbers"),
        ({"tokens": np.ones((0, 2))}, "tokens: found no token, expected one or more: give None"),
        ({"tokens": np.full((1, 2), 1e5)}, r"tokens: found 100000, expected at most 65504 \(float16\): normalize"),
        ({"metadata": {1: "a"}}, "metadata: found the key 1, expected keys that are strings"),
        ({"metadata": {"a": [float("inf")]}}, r"metadata.a: found inf, which JSON cannot hold"),
        ({"metadata": {"a": {"b": np.ones(1)}}}, r"metadata.a.b: found ndarray, expected what JSON can hold"),
        ({"metadata": {"a": "\udc00"}}, "record 'a': metadata: character .* is half a surrogate pair"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_sentence(changed, complaint):
    with pytest.raises(UserError, match=complaint):
        entry(replace(GOOD, **changed))


def test_tokens_are_refused_where_the_index_has_none():
    with pytest.raises(UserError, match="found token vectors, but the index was made without them"):
        entry(GOOD, tokens_size=None)
    assert entry(replace(GOOD, tokens=None), tokens_size=None).tokens is None


def test_metadata_keeps_letters_as_they_are():
    assert json.loads(entry(replace(GOOD, metadata={"ä": "日本"})).metadata) == {"ä": "日本"}


def test_whole_numbers_are_numbers():
    assert finite("v", [1, 2], (2,)).tolist() == [1, 2]
