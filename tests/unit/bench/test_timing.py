import pytest

from modernbert.bench.timing import Timing, alternate, paired_ratio


def test_contenders_take_turns_in_every_round():
    calls = []
    timings = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4, most_seconds=60)
    assert calls == ["a", "b"] * 4
    assert all(len(timing.seconds) == 4 for timing in timings.values())


def test_rounds_end_when_time_is_up_but_not_before_the_fewest():
    timings = alternate({"a": lambda: None}, rounds=50, most_seconds=0.0, fewest=2)
    assert len(timings["a"].seconds) == 2


def test_a_contender_that_times_itself_is_believed():
    assert alternate({"a": lambda: 7.0}, rounds=3, most_seconds=60)["a"].seconds == (7.0, 7.0, 7.0)


def test_a_timing_is_told_by_median_quartiles_and_spread():
    timing = Timing(seconds=(1.0, 2.0, 3.0, 4.0, 10.0))
    assert timing.median == 3.0
    assert timing.quartiles == (2.0, 4.0)
    assert timing.spread == 3.0
    assert Timing(seconds=(5.0,)).quartiles == (5.0, 5.0)


def test_ratios_are_paired_by_round():
    slow, fast = Timing(seconds=(2.0, 4.0, 9.0)), Timing(seconds=(1.0, 1.0, 3.0))
    assert paired_ratio(slow, fast) == pytest.approx((3.0, 2.0, 4.0))
