"""Reciprocal rank fusion."""

import pytest

from modernbert.retrieval.index.fusion import reciprocal_rank_fusion


def test_scores_are_sums_of_reciprocal_ranks():
    fused = dict(reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"]]))
    assert fused == pytest.approx({"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61})


def test_ties_go_by_id_and_weights_count():
    assert [id_ for id_, _ in reciprocal_rank_fusion([["b"], ["a"]])] == ["a", "b"]
    assert [id_ for id_, _ in reciprocal_rank_fusion([["b"], ["a"]], weights=[2, 1])] == ["b", "a"]
    assert reciprocal_rank_fusion([]) == []
