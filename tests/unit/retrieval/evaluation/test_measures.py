import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from modernbert.core.errors import UserError
from modernbert.retrieval.evaluation.measures import MEASURES, compare, interval, judge, means, ordered

RELEVANT = {"q": {"a": 2, "b": 0, "c": 1, "gone": 1}}


def test_measures_are_what_they_say():
    """By hand: places are b, a, x, c; three documents are relevant."""
    found = judge(RELEVANT, {"q": {"b": 4.0, "a": 3.0, "x": 2.0, "c": 1.0}})
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["nDCG@10"]["q"] == pytest.approx((2 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert found["RR@10"]["q"] == pytest.approx(1 / 2)
    assert found["R@10"]["q"] == found["R@100"]["q"] == pytest.approx(2 / 3)
    assert found["AP@100"]["q"] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert tuple(found) == MEASURES


def test_what_lies_beyond_a_cut_does_not_count():
    run = {"q": {f"x{number}": 100.0 - number for number in range(10)} | {"a": 1.0}}
    found = judge({"q": {"a": 1}}, run)
    assert (found["nDCG@10"]["q"], found["RR@10"]["q"], found["R@10"]["q"], found["R@100"]["q"]) == (0, 0, 0, 1)


def test_of_equal_scores_the_larger_id_comes_first_whatever_the_order_of_the_run():
    run = {"a": 1.0, "c": 1.0, "b": 1.0, "z": 0.5, "10": 2.0}
    assert ordered(run) == ordered(dict(reversed(run.items()))) == ["10", "c", "b", "a", "z"]


def test_scores_that_only_64_bits_tell_apart_are_not_tied():
    close = {"a": 1.0 + 1e-12, "z": 1.0}
    assert np.float32(close["a"]) == np.float32(close["z"])
    assert judge({"q": {"a": 1}}, {"q": close})["RR@10"]["q"] == 1.0


@pytest.mark.parametrize("run", [{}, {"q": {}}, {"other": {"a": 1.0}}], ids=["no query", "no document", "unjudged"])
def test_a_query_with_nothing_found_gets_0_and_counts(run):
    assert judge(RELEVANT, run) == {name: {"q": 0.0} for name in MEASURES}
    both = judge({"p": {"a": 1}, "q": {"a": 1}}, {"p": {"a": 1.0}} | run)
    assert means(both)["nDCG@10"] == 0.5


def test_a_query_without_relevant_documents_gets_0():
    assert judge({"q": {"a": 0}}, {"q": {"a": 1.0}}) == {name: {"q": 0.0} for name in MEASURES}


def test_queries_that_nobody_judged_do_not_count():
    assert judge({"q": {"a": 1}}, {"q": {"a": 1.0}, "x": {"b": 1.0}})["RR@10"] == {"q": 1.0}


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UserError, match="there is no judged query"):
        judge({}, {})
    with pytest.raises(UserError, match="found the measure 'nonsense', expected such as nDCG@10"):
        judge(RELEVANT, {}, ["nonsense"])
    with pytest.raises(UserError, match="a ranking has a score that is not a number"):
        judge(RELEVANT, {"q": {"a": math.nan}})


def test_the_interval_covers_its_level():
    """Of a hundred samples of a known mean, about 95 hold it."""
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        found = interval(list(chance.normal(0.5, 0.2, size=60)), draws=400)
        assert found.low < found.mean < found.high
        held += found.low <= 0.5 <= found.high
    assert 88 <= held <= 99
    assert interval([0.0, 1.0, 1.0]) == interval([0.0, 1.0, 1.0])
    same = interval([0.3])
    assert (same.low, same.high) == (0.3, 0.3)
    with pytest.raises(UserError, match="there is no query to draw from"):
        interval([])


def test_few_queries_are_tossed_in_every_way():
    one, other = [0.9, 0.5, 0.7, 0.2, 0.6], [0.4, 0.6, 0.2, 0.1, 0.6]
    differences = [a - b for a, b in zip(one, other, strict=True)]
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=5)
    ]
    expected = sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / 32
    found = compare(dict(enumerate_ids(one)), dict(enumerate_ids(other)))
    assert found.p_randomised == pytest.approx(expected)
    assert found.p_t_test == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert found.mean == pytest.approx(sum(differences) / 5)
    assert found.num_queries == 5


def enumerate_ids(values):
    return ((f"q{number}", value) for number, value in enumerate(values))


def test_many_queries_are_drawn_and_agree_with_the_t_test():
    chance = np.random.default_rng(0)
    one = chance.random(200)
    other = one - 0.03 + chance.normal(0, 0.2, 200)
    found = compare(dict(enumerate_ids(one)), dict(enumerate_ids(other)), draws=20_000)
    assert found.p_randomised == pytest.approx(found.p_t_test, abs=0.01)
    assert found == compare(dict(enumerate_ids(one)), dict(enumerate_ids(other)), draws=20_000)
    exact = stats.permutation_test((one, other), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=20_000, rng=2)  # fmt: skip
    assert found.p_randomised == pytest.approx(exact.pvalue, abs=0.01)


def test_no_difference_is_no_evidence_and_no_nan():
    same = dict(enumerate_ids([0.5] * 30))
    found = compare(same, same)
    assert (found.mean, found.p_randomised, found.p_t_test) == (0.0, 1.0, 1.0)
    better = dict(enumerate_ids([0.75] * 30))
    assert compare(better, same, draws=1000).p_t_test == 0.0
    assert compare(better, same, draws=1000).p_randomised == 1 / 1001
    with pytest.raises(UserError, match="found rankings of 30 and 2 queries, expected the same ones"):
        compare(same, {"q0": 1.0, "q1": 1.0})
