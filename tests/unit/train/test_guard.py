import json
from math import inf, nan

import pytest

from modernbert.core.errors import UserError
from modernbert.train.config import Guard
from modernbert.train.guard import TrainingError, Watch


def _seasoned(norms=range(1, 22), **settings):
    watch = Watch(Guard(**settings))
    for norm in norms:
        assert watch.judge(1.0, float(norm)) == "step"
    return watch


def test_a_norm_far_above_the_median_is_skipped():
    watch = _seasoned()  # 1 to 21: the median is 11
    assert watch.judge(1.0, 110.0) == "step"
    watch = _seasoned()
    assert watch.judge(1.0, 110.1) == "skip"
    assert watch.num_skipped == 1


def test_the_first_twenty_norms_may_be_anything():
    watch = _seasoned([1.0] * 19)
    assert watch.judge(1.0, 1e9) == "step"
    assert watch.judge(1.0, 1e9) == "skip"


def test_a_skipped_norm_does_not_count_as_usual():
    watch = _seasoned([1.0] * 20, patience=1000)
    assert {watch.judge(1.0, 50.0) for _ in range(200)} == {"skip"}


def test_only_the_last_hundred_are_usual():
    watch = _seasoned([1.0] * 100)
    for norm in [9.0] * 51:  # from the fiftieth on the median moves
        assert watch.judge(1.0, norm) == "step"
    assert watch.judge(1.0, 89.0) == "step"


@pytest.mark.parametrize(("loss", "norm"), [(nan, 1.0), (inf, 1.0), (1.0, nan), (1.0, inf), (-inf, 1.0)])
@pytest.mark.parametrize("spike", [0.0, 10.0])
def test_what_is_not_finite_is_always_skipped_and_never_remembered(loss, norm, spike):
    watch = Watch(Guard(spike=spike))
    assert watch.judge(loss, norm) == "skip"
    assert watch.state()["norms"] == []


def test_spike_zero_never_skips_a_finite_step():
    watch = _seasoned(spike=0.0)
    assert watch.judge(1.0, 1e30) == "step"


def test_patience_counts_skips_in_a_row_only():
    watch = _seasoned([1.0] * 20, patience=3)
    for _ in range(10):
        assert [watch.judge(1.0, norm) for norm in (99.0, 99.0, 1.0)] == ["skip", "skip", "step"]
    assert watch.num_skipped == 20


@pytest.mark.parametrize(
    ("loss", "norm", "reason"),
    [
        (nan, 1.0, "the loss is nan"),
        (1.0, inf, "the gradient norm is inf"),
        (1.0, 99.0, "the gradient norm is 99, more than 10 times the usual 1"),
    ],
)
def test_out_of_patience_it_says_what_was_found_and_what_to_do(loss, norm, reason):
    watch = _seasoned([1.0] * 20, patience=2)
    watch.judge(loss, norm)
    with pytest.raises(TrainingError, match=f"^2 steps in a row were skipped, the last because {reason}: .*lower lr.*"):
        watch.judge(loss, norm)
    assert issubclass(TrainingError, UserError)


def test_a_resumed_watch_judges_the_same():
    whole, first = _seasoned([1.0] * 30, patience=5), _seasoned([1.0] * 30, patience=5)
    numbers = [99.0, 99.0, 7.3, 99.0, 99.0, 99.0, 99.0]
    first.judge(1.0, numbers[0])
    whole.judge(1.0, numbers[0])
    second = Watch(Guard(patience=5))
    second.resume(json.loads(json.dumps(first.state())))
    for number in numbers[1:]:
        assert second.judge(1.0, number) == whole.judge(1.0, number)
        assert second.state() == whole.state()
    for watch in (whole, second):
        with pytest.raises(TrainingError):
            watch.judge(1.0, 99.0)
