import pytest
from hypothesis import given
from hypothesis import strategies as st

from modernbert.core.quantities import Duration, Tokens
from modernbert.train.config import Budget, Optim, Schedule
from modernbert.train.schedule import learning_rate_share

SCHEDULE = Schedule(warmup=0.1, decay=0.4, floor=0.01)


@pytest.mark.parametrize(
    ("spent", "share"), [(0.0, 0.01), (0.05, 0.5), (0.1, 1.0), (0.6, 1.0), (0.7, 0.505), (1.0, 0.01)]
)
def test_it_warms_up_holds_and_decays_by_one_minus_the_root(spent, share):
    assert learning_rate_share(SCHEDULE, spent) == pytest.approx(share)


@given(st.floats(0, 1), st.floats(0, 1))
def test_it_rises_during_warm_up_and_never_again(a, b):
    low, high = sorted((a, b))
    if high <= SCHEDULE.warmup:
        assert learning_rate_share(SCHEDULE, low) <= learning_rate_share(SCHEDULE, high)
    elif low >= SCHEDULE.warmup:
        assert learning_rate_share(SCHEDULE, low) >= learning_rate_share(SCHEDULE, high)


@given(st.floats(0, 1))
def test_it_is_never_zero_with_a_floor(spent):
    assert 0 < learning_rate_share(SCHEDULE, spent) <= 1


@pytest.mark.parametrize("spent", [0.0, 0.5, 1.0])
def test_no_warm_up_and_no_decay_is_constant(spent):
    assert learning_rate_share(Schedule(warmup=0.0, decay=0.0, floor=0.0), spent) == 1.0


def test_a_budget_ends_at_whichever_comes_first():
    budget = Budget(tokens=Tokens(1000), time=Duration(10))
    assert budget.spent(500, 1.0) == 0.5
    assert budget.spent(100, 8.0) == 0.8
    assert budget.spent(2000, 80.0) == 1.0
    assert Budget(time=Duration(10)).spent(10**9, 1.0) == 0.1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Budget(), "a budget needs tokens, time, or both"),
        (lambda: Schedule(warmup=0.7, decay=0.7), "shares of the budget that fit into it together"),
        (lambda: Schedule(floor=-1.0), "shares of the budget"),
        (lambda: Optim(lr=0.0), "lr and eps are above 0"),
        (lambda: Optim(betas=(0.9, 1.0)), r"betas lie in \[0, 1\)"),
    ],
)
def test_impossible_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
