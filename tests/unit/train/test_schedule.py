from math import cos, pi, sqrt

import pytest

from modernbert.core.quantities import Tokens
from modernbert.train.config import Batch, Schedule
from modernbert.train.schedule import learning_rate_share, rows_per_batch

TRAPEZOID = Schedule(warmup=Tokens(100), decay=Tokens(400), floor=0.01)
ALL = Schedule(warmup=Tokens(100), decay="all")


@pytest.mark.parametrize(
    ("at", "share"), [(1, 0.01), (50, 0.5), (100, 1.0), (600, 1.0), (700, 0.505), (1000, 0.01), (2000, 0.01)]
)
def test_it_warms_up_holds_and_decays_by_one_minus_the_root(at, share):
    assert learning_rate_share(TRAPEZOID, at, 1000) == pytest.approx(share)


@pytest.mark.parametrize(
    ("shape", "left"), [("1-sqrt", 1 - sqrt(0.3)), ("cosine", (1 + cos(0.3 * pi)) / 2), ("linear", 0.7)]
)
def test_every_shape_falls_from_the_peak_to_the_floor(shape, left):
    schedule = Schedule(decay=Tokens(100), shape=shape, floor=0.2)
    shares = [learning_rate_share(schedule, at, 1000) for at in (900, 930, 1000)]
    assert shares == pytest.approx([1.0, 0.2 + 0.8 * left, 0.2])


def test_all_is_everything_after_the_warm_up():
    assert learning_rate_share(ALL, 100, 1000) == 1.0
    assert learning_rate_share(ALL, 325, 1000) == pytest.approx(0.5)
    assert learning_rate_share(ALL, 1000, 1000) == 0.0


@pytest.mark.parametrize("at", [0, 1, 500, 1000, 5000])
def test_neither_warm_up_nor_decay_is_constant(at):
    assert learning_rate_share(Schedule(), at, 1000) == 1.0


@pytest.mark.parametrize("decay", ["all", Tokens(0)])
def test_a_stage_that_is_all_warm_up_ends_at_its_peak(decay):
    schedule = Schedule(warmup=Tokens(1000), decay=decay)
    assert learning_rate_share(schedule, 999, 1000) == pytest.approx(0.999)
    assert learning_rate_share(schedule, 1000, 1000) == 1.0
    assert learning_rate_share(schedule, 1001, 1000) == 1.0


def test_the_middles_of_a_stages_batches_never_have_a_rate_of_zero():
    schedule = Schedule(warmup=Tokens(300), decay=Tokens(300))
    shares = [learning_rate_share(schedule, at + 50, 1000) for at in range(0, 1000, 100)]
    assert shares[:4] == pytest.approx([1 / 6, 0.5, 5 / 6, 1.0])
    assert shares[-1] == pytest.approx(1 - sqrt(5 / 6))


BATCH = Batch(size=Tokens(4608 * 1024), start=Tokens(768 * 1024), over=Tokens(50 * 10**9))
"""ModernBERT-base's."""


def test_the_batch_grows_from_start_to_size():
    assert rows_per_batch(BATCH, 0, 1024) == 768
    assert rows_per_batch(BATCH, 50 * 10**9, 1024) == rows_per_batch(BATCH, 10**15, 1024) == 4608


def test_at_each_of_the_references_levels_half_a_level_is_the_most_it_differs():
    """768 rows up to 3.3 B tokens, 1536 up to 10 B and so on: equal numbers of steps at each of six levels, hence tokens
    as 1:2:3:4:5 to the ends of five. A straight line through the steps meets the levels' edges."""
    for tokens, level in [(3.333e9, 768 * 1.0), (10e9, 768 * 2), (20e9, 768 * 3), (33.33e9, 768 * 4)]:
        assert level <= rows_per_batch(BATCH, int(tokens), 1024) <= level + 768


def test_without_a_start_it_is_the_full_size_at_once():
    batch = Batch(size=Tokens(1000))
    assert [rows_per_batch(batch, at, 100) for at in (0, 10**6)] == [10, 10]


@pytest.mark.parametrize(("size", "rows"), [(1, 1), (1499, 1), (1500, 2), (2499, 2), (2500, 3)])
def test_it_is_rounded_to_whole_rows_and_never_none(size, rows):
    assert rows_per_batch(Batch(size=Tokens(size)), 0, 1000) == rows
