import numpy as np
import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.retrieval.evaluation import vectors
from modernbert.retrieval.evaluation.vectors import Dense, Encodings, Late
from modernbert.retrieval.similarity import unit

DOCUMENTS = {"x": "aab", "y": "bbbb", "z": "", "w": "cab"}
AXES = {"a": (1.0, 0.0, 0.2), "b": (0.0, 2.0, 0.0), "c": (-1.0, 0.5, 1.0)}


class Letters:
    """A text's vector is the sum of its letters'."""

    def __init__(self, *, similarity="cosine", give=np.stack):
        self.similarity_fn_name = similarity
        self.num_encoded = 0
        self.give = give

    def encode_document(self, texts):
        self.num_encoded += len(texts)
        return self.encode_query(texts)

    def encode_query(self, texts):
        return self.give(
            [sum((np.array(AXES[c], np.float32) for c in text), np.zeros(3, np.float32)) for text in texts]
        )


class Tokens(Letters):
    """A text's tokens are its letters; `-` is a token that is not there."""

    def __init__(self, *, give=list):
        super().__init__(similarity="maxsim", give=give)

    def encode_query(self, texts):
        return self.give(
            [np.array([AXES.get(c, (0.0,) * 3) for c in text], np.float32).reshape(-1, 3) for text in texts]
        )


def _dense(model, **options):
    return Dense(encodings=Encodings(model, facts={"content": "1"}, **options), name="dense")


def _late(model):
    return Late(encodings=Encodings(model, facts={"content": "1"}), name="late")


@pytest.mark.parametrize("give", [np.stack, list, lambda rows: torch.tensor(np.stack(rows)), lambda rows: [torch.tensor(r) for r in rows]])  # fmt: skip
def test_cosines_with_every_document(give):
    (found,) = _dense(Letters(give=give)).index(DOCUMENTS).search(["ab"], 3)
    query = np.array([1.0, 2.0, 0.2])
    vectors = {id_: Letters().encode_query([text])[0] for id_, text in DOCUMENTS.items()}
    expected = {id_: query @ v / np.linalg.norm(query) / (np.linalg.norm(v) or 1) for id_, v in vectors.items()}
    assert found == pytest.approx({id_: expected[id_] for id_ in ("y", "w", "x")}, abs=1e-6)
    assert list(found) == sorted(found, key=found.__getitem__, reverse=True)


def test_the_dot_product_where_the_model_says_so():
    (found,) = _dense(Letters(similarity="dot")).index(DOCUMENTS).search(["b"], 2)
    assert found == pytest.approx({"y": 16.0, "w": 5.0})


def test_queries_in_blocks_are_queries_at_once(monkeypatch):
    searcher = _dense(Letters()).index(DOCUMENTS)
    queries = ["ab", "c", "bb", "a", "cc"]
    expected = searcher.search(queries, 4)
    monkeypatch.setattr(vectors, "_BLOCK", 8)
    for found, whole in zip(searcher.search(queries, 4), expected, strict=True):
        assert found == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("give", [list, lambda rows: [torch.tensor(row) for row in rows]])
def test_maxsim_is_the_sum_of_each_query_tokens_best(give):
    searcher = _late(Tokens(give=give)).index(DOCUMENTS)
    (found,) = searcher.search(["cb"], 9)
    expected = {}
    for id_, text in DOCUMENTS.items():
        if text:
            rows = np.array([AXES[c] for c in text])
            expected[id_] = sum(max(rows @ np.array(AXES[c])) for c in "cb")
    assert found == pytest.approx(expected, abs=1e-6)
    assert "z" not in found  # no token, no match


def test_a_token_that_is_not_there_never_wins():
    """All similarities are negative, and 0 would be larger."""
    (found,) = _late(Tokens()).index({"x": "a-", "y": "c--"}).search(["c"], 2)
    assert found == pytest.approx({"y": 2.25, "x": -0.8})


def test_maxsim_of_queries_in_blocks_is_that_of_all_at_once(monkeypatch):
    searcher = _late(Tokens()).index(DOCUMENTS)
    queries = ["cb", "a", "bbc", "c", "ab"]
    expected = searcher.search(queries, 4)
    for block in (1, 8, 12):
        monkeypatch.setattr(vectors, "_BLOCK", block)
        assert searcher.search(queries, 4) == expected


def test_documents_are_encoded_once_for_several_rankers_and_queries_each_time():
    model = Letters()
    encodings = Encodings(model, facts={})
    for _ in range(2):
        Dense(encodings=encodings, name="d").index(DOCUMENTS).search(["a"], 1)
    assert model.num_encoded == len(DOCUMENTS)
    Dense(encodings=encodings, name="d").index({"x": "a"})
    assert model.num_encoded == len(DOCUMENTS) + 1


@pytest.mark.parametrize(("make", "model"), [(_dense, Letters), (lambda m, **o: Late(encodings=Encodings(m, facts={"content": "1"}, **o), name=""), Tokens)])  # fmt: skip
def test_a_folder_keeps_them_for_the_next_time(tmp_path, make, model):
    first, second = model(), model()
    one = make(first, cache=tmp_path).index(DOCUMENTS)
    two = make(second, cache=tmp_path).index(DOCUMENTS)
    assert (first.num_encoded, second.num_encoded) == (4, 0)
    assert one.search(["ab"], 4) == two.search(["ab"], 4)
    assert two.build_seconds > 0
    make(second, cache=tmp_path).index({**DOCUMENTS, "x": "aa"})
    assert second.num_encoded == 4


def test_another_model_or_text_has_another_key(tmp_path):
    model = Letters()
    Encodings(model, facts={"content": "1"}, cache=tmp_path).documents(["ab", "c"])
    Encodings(model, facts={"content": "2"}, cache=tmp_path).documents(["ab", "c"])
    Encodings(model, facts={"content": "1"}, cache=tmp_path).documents(["a", "bc"])
    assert model.num_encoded == 6


def test_a_damaged_encoding_is_named(tmp_path):
    _dense(Letters(), cache=tmp_path).index(DOCUMENTS)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"is no kept encoding \(.*\): delete it"):
        _dense(Letters(), cache=tmp_path).index(DOCUMENTS)


def test_the_wrong_kind_of_model_is_refused():
    with pytest.raises(
        UserError, match="the model's similarity is 'euclidean', expected cosine or dot for a dense ranker"
    ):
        _dense(Letters(similarity="euclidean")).index(DOCUMENTS)
    with pytest.raises(UserError, match="the model's similarity is 'cosine', expected maxsim for a late ranker"):
        _late(Letters()).index(DOCUMENTS)
    with pytest.raises(UserError, match="the model gives one vector a token, expected the other: rank with late"):
        _dense(Letters(give=lambda rows: [row[None] for row in rows])).index(DOCUMENTS)


def test_a_row_of_zeros_has_no_direction_and_no_nan():
    assert unit(np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]
