"""Measures equal pytrec_eval's on any run, ties and all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.retrieval.evaluation.measures import judge, ordered
from modernbert.retrieval.evaluation.rankers import Ids

pytrec_eval = pytest.importorskip("pytrec_eval")

law = settings(deadline=None, max_examples=150)
queries = st.sampled_from(["q1", "q2", "10", "9"])
documents = st.text("ab01", min_size=1, max_size=3)
few_scores = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 3.0])  # few, so that they tie; and the same in 32 bits
runs = st.dictionaries(queries, st.dictionaries(documents, few_scores, max_size=40), max_size=4)
grades = st.dictionaries(queries, st.dictionaries(documents, st.integers(0, 3), min_size=1), min_size=1)
THEIRS = {"nDCG@10": "ndcg_cut_10", "R@10": "recall_10", "R@100": "recall_100", "AP@100": "map_cut_100"}


@law
@given(grades, runs)
def test_every_query_gets_what_pytrec_eval_gives_it(relevant, run):
    ours = judge(relevant, run)
    theirs = pytrec_eval.RelevanceEvaluator(relevant, {*THEIRS.values(), "recip_rank"}).evaluate(run)
    for query in relevant:
        for name, called in THEIRS.items():
            assert ours[name][query] == pytest.approx(theirs.get(query, {}).get(called, 0.0), abs=1e-9), name
        whole = theirs.get(query, {}).get("recip_rank", 0.0)
        assert ours["RR@10"][query] == pytest.approx(whole if whole >= 1 / 10 else 0.0, abs=1e-9)


@law
@given(st.dictionaries(documents, few_scores, min_size=1), st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_best_of_many_are_the_beginning_of_all(scores, most, chance):
    import numpy as np

    names = list(scores)
    chance.shuffle(names)
    best = Ids(names).best(np.array([scores[name] for name in names]), most)
    assert list(best) == ordered(scores)[:most]
    assert best == {name: scores[name] for name in best}
