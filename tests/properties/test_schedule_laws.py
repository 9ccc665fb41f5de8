"""Laws of the learning rate and of the batch size, for any stage."""

from itertools import pairwise
from math import log

from hypothesis import given
from hypothesis import strategies as st

from modernbert.core.quantities import Tokens
from modernbert.train.config import Batch, Schedule
from modernbert.train.schedule import learning_rate_share, rows_per_batch


@st.composite
def stages(draw):
    """A schedule and a total into which it fits."""
    warmup, stable, decay = (draw(st.integers(0, 10**12)) for _ in range(3))
    total = max(1, warmup + stable + decay)
    fall = "all" if draw(st.booleans()) else Tokens(decay)
    shape = draw(st.sampled_from(["1-sqrt", "cosine", "linear"]))
    schedule = Schedule(warmup=Tokens(warmup), decay=fall, shape=shape, floor=draw(st.floats(0, 1)))
    return schedule, total


@given(stages(), st.floats(0, 1), st.floats(0, 1))
def test_the_rate_is_a_share_that_rises_in_warm_up_and_never_again(stage, one, two):
    schedule, total = stage
    low, high = sorted((one * total, two * total))
    before, after = (learning_rate_share(schedule, at, total) for at in (low, high))
    assert 0 <= before <= 1
    assert 0 <= after <= 1
    if high <= schedule.warmup:
        assert before <= after
    elif low >= schedule.warmup:
        assert before >= after - 1e-12
        assert after >= schedule.floor - 1e-12


@given(stages(), st.floats(0, 1))
def test_the_rate_has_no_jumps(stage, where):
    """Halving a small step shrinks the difference, at the joints too; the root is the steepest, straight after its start."""
    schedule, total = stage
    joints = [schedule.warmup, total if schedule.decay == "all" else total - schedule.decay, where * total]
    length = min(
        x for x in (schedule.warmup, total - schedule.warmup if schedule.decay == "all" else schedule.decay, total) if x
    )
    for joint in joints:
        step = 1e-8 * length
        left, right = (learning_rate_share(schedule, max(0.0, joint + side), total) for side in (-step, step))
        assert abs(left - right) < 2e-3


@given(st.integers(1, 50), st.integers(0, 400), st.integers(1, 4096), st.integers(1, 300), st.integers(0, 10))
def test_the_batch_grows_by_the_same_amount_each_step(first, more, room, steps, extra):
    """Walked as training walks it: a straight line over the steps, but for rounding, and for what few large steps lag."""
    last = first + more
    over = (first + last) * room * steps // 2
    batch = Batch(size=Tokens(last * room), start=Tokens(first * room), over=Tokens(over))
    at, rows = 0, []
    while at < over:
        rows.append(rows_per_batch(batch, at, room))
        at += rows[-1] * room
    rows += [rows_per_batch(batch, at + index * last * room, room) for index in range(extra)]
    assert all(first <= one <= two <= last for one, two in pairwise([first, *rows, last]))
    growth = more / steps
    for step, found in enumerate(rows):
        lag = growth * (1 + log(last / first) / 2)
        assert abs(found - min(last, first + step * growth)) <= 1.5 + lag
