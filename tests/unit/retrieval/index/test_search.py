"""Legs, fusion and the second look."""

import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.manifest import Settings
from modernbert.retrieval.index.record import Query, Record
from modernbert.retrieval.index.search import unit
from support.records import SETTINGS, query, record

COSINE = Settings(model="m", model_hash="0", vector_size=2)


def test_cosines_do_not_depend_on_length_and_zero_is_like_nothing(tmp_path):
    with Index.open(tmp_path / "i", COSINE, store="exact") as index:
        index.add(
            [
                Record("far", "", np.array([100.0, 100])),
                Record("near", "", np.array([0.1, 0])),
                Record("zero", "", np.zeros(2)),
            ]
        )
        hits = index.search(Query(vector=np.array([7.0, 0])))
    assert [(hit.id, round(hit.score, 4)) for hit in hits] == [("near", 1.0), ("far", 0.7071), ("zero", 0.0)]


@pytest.mark.parametrize("store", ["exact", "edge"])
def test_a_tie_is_never_cut_by_anything_but_the_id(tmp_path, store):
    with Index.open(tmp_path / "i", COSINE, store=store) as index:
        index.add([Record(f"{number:03d}", "same words", np.ones(2)) for number in reversed(range(60))])
        for mode in ("dense", "lexical", "hybrid"):
            hits = index.search(Query(text="words", vector=np.ones(2)), top_k=3, mode=mode)
            assert [hit.id for hit in hits] == ["000", "001", "002"], mode


def test_records_with_tokens_come_first_by_maxsim_and_others_keep_their_order(tmp_path):
    rows = [
        Record("a", "", np.array([4, 0, 0])), Record("b", "", np.array([3, 0, 0]), np.array([[1, 0], [0, 1]])),
        Record("c", "", np.array([2, 0, 0]), np.array([[5, 0]])), Record("d", "", np.array([1, 0, 0]), np.array([[9, 9]])),
    ]  # fmt: skip
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add(rows)
        asked = Query(vector=np.array([1, 0, 0]), tokens=np.array([[1.0, 0], [0, 1]]))
        hits = index.search(asked, rescore=3)
    assert [(hit.id, hit.score, hit.late) for hit in hits] == [
        ("c", 5.0, 5.0), ("b", 2.0, 2.0), ("a", 4.0, None), ("d", 1.0, None),
    ]  # fmt: skip


@pytest.mark.parametrize("store", ["exact", "edge"])
def test_in_a_hybrid_maxsim_takes_the_place_of_the_vectors_and_words_keep_their_share(tmp_path, store):
    rows = [
        Record("gist", "fog", np.array([9, 0, 0]), np.array([[1, 0]])),
        Record("match", "fog and gulls", np.array([1, 0, 0]), np.array([[8, 0]])),
        Record("bare", "gulls, a bell, gulls", np.array([5, 0, 0])),
    ]
    asked = Query(text="gulls", vector=np.array([1, 0, 0]), tokens=np.array([[1.0, 0]]))
    with Index.open(tmp_path / "i", SETTINGS, store=store) as index:
        index.add(rows)
        words = {hit.id: hit.score for hit in index.search(asked, mode="lexical")}
        hits = index.search(asked, mode="hybrid", rescore=3)
    assert words["bare"] > words["match"]
    most = words["bare"]  # of words the best is 1; all that have one were found, so 0 is none; of MaxSim the worst is 0
    expected = {"match": 0.3 * 1 + 0.7 * words["match"] / most, "bare": 0.7, "gist": 0.0}
    assert [hit.id for hit in hits] == sorted(expected, key=lambda id_: -expected[id_])
    for hit in hits:
        assert hit.score == hit.fused == pytest.approx(expected[hit.id], rel=1e-5)
    assert {hit.id: hit.late for hit in hits} == {"gist": 1.0, "match": 8.0, "bare": None}
    assert {hit.id: hit.dense for hit in hits} == {"gist": 9.0, "match": 1.0, "bare": 5.0}


def test_a_hybrid_hit_tells_what_each_leg_said(tmp_path):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add([record(number) for number in range(5)])
        hit = index.search(query(), mode="hybrid", top_k=1)[0]
    assert hit.score == hit.fused
    assert hit.dense is not None
    assert hit.late is None


@pytest.mark.parametrize(
    ("asked", "how", "complaint"),
    [
        (Query(text="a"), {}, r"compares vectors, and the query has none: give Query\(vector=...\)"),
        (Query(vector=np.ones(3)), {"mode": "hybrid"}, "mode 'hybrid' compares words, and the query has no text"),
        (Query(vector=np.ones(2)), {}, r"the query's vector: found float64 of shape \(2,\), expected 3 numbers"),
        (query(), {"mode": "sparse"}, "found mode 'sparse', expected 'dense', 'lexical' or 'hybrid'"),
        (query(), {"top_k": 0}, "found top_k=0, rescore=None, expected 1 or more"),
        (query(), {"rescore": 0}, "found top_k=10, rescore=0, expected 1 or more"),
        (Query(vector=np.ones(3)), {"rescore": 5}, "rescore compares tokens, and the query has none"),
    ],
)
def test_a_query_that_lacks_what_is_compared_is_refused(tmp_path, asked, how, complaint):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index, pytest.raises(UserError, match=complaint):
        index.search(asked, **how)


def test_rescoring_needs_an_index_with_tokens(tmp_path):
    with Index.open(tmp_path / "i", COSINE, store="exact") as index:
        with pytest.raises(UserError, match="rescore needs token vectors, and the index was made without"):
            index.search(Query(vector=np.ones(2)), rescore=5)
        assert index.search(Query(text="a", vector=np.ones(2)), mode="hybrid") == []


def test_unit_leaves_dot_products_alone():
    vectors = np.array([[3, 4], [0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(unit(vectors, "dot"), vectors)
    np.testing.assert_allclose(unit(vectors, "cosine"), [[0.6, 0.8], [0, 0]])
