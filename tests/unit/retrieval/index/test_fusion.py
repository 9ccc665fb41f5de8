"""Scores and places into one ranking."""

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.index.fusion import hybrid, reciprocal_rank_fusion, score_fusion


def test_each_legs_scores_count_between_its_best_and_its_last():
    fused = dict(score_fusion([{"a": 10.0, "b": 7.5, "c": 5.0}, {"c": 0.9, "b": 0.1}], [0.7, 0.3]))
    assert fused == pytest.approx({"a": 0.7, "b": 0.35, "c": 0.3})


def test_the_last_of_all_there_is_keeps_its_share():
    fused = dict(score_fusion([{"a": 10.0, "b": 5.0}, {"c": 0.9, "b": 0.1}], [0.7, 0.3], complete=[True, False]))
    assert fused == pytest.approx({"a": 0.7, "b": 0.35, "c": 0.3})
    assert dict(score_fusion([{"a": 3.0}], [1.0])) == {"a": 1.0}, "alone it is the best"


def test_equal_scores_are_all_best_and_ties_go_by_id():
    assert score_fusion([{"b": 0.5, "a": 0.5}], [1.0]) == [("a", 1.0), ("b", 1.0)]
    assert score_fusion([{}, {}], [0.5, 0.5]) == []


def test_places_are_sums_of_reciprocals():
    fused = dict(reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"]]))
    assert fused == pytest.approx({"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61})


def test_ties_of_places_go_by_id_and_weights_count():
    assert [id_ for id_, _ in reciprocal_rank_fusion([["b"], ["a"]])] == ["a", "b"]
    assert [id_ for id_, _ in reciprocal_rank_fusion([["b"], ["a"]], weights=[2, 1])] == ["b", "a"]
    assert reciprocal_rank_fusion([]) == []


def test_a_fusion_that_is_none_is_refused():
    with pytest.raises(UserError, match="found fusion 'places', expected 'scores' or 'ranks'"):
        hybrid({"a": 1.0}, {"a": 1.0}, "places", limit=10)
