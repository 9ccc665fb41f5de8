"""Statistics of spans at fixed seeds, and the law of their lengths."""

import numpy as np
import pytest

from modernbert.core.seeds import Seeds
from modernbert.data.spans import LONGEST, draw_spans, length_chances


def drawn(num_tokens, rate, mean, seed=0):
    return draw_spans(num_tokens, rate, mean, Seeds(seed).numpy("mask"))


@pytest.mark.parametrize("mean", [1.0, 1.01, 2.0, 3.8, 5.5, 8.0, 9.99, 10.0])
def test_lengths_have_the_mean_asked_for(mean):
    chances = length_chances(mean)
    assert chances.shape == (LONGEST,)
    assert chances.sum() == pytest.approx(1)
    assert chances @ np.arange(1, LONGEST + 1) == pytest.approx(mean, abs=1e-6)


def test_a_mean_of_three_point_eight_is_spanberts_law():
    """A geometric law of p = 0.2 cut off at 10, as its section 3.1 has it."""
    spanbert = 0.2 * 0.8 ** np.arange(LONGEST)
    assert length_chances(3.8) == pytest.approx(spanbert / spanbert.sum(), abs=2e-3)


@pytest.mark.parametrize(("rate", "mean"), [(0.05, 3.8), (0.3, 3.8), (0.3, 1.0), (0.5, 9.0), (0.9, 2.0)])
def test_the_share_of_tokens_in_spans_is_the_rate(rate, mean):
    is_in, _ = drawn(1_000_000, rate, mean)
    assert is_in.mean() == pytest.approx(rate, abs=6 * np.sqrt(2 * mean * rate * (1 - rate) / 1_000_000))


@pytest.mark.parametrize("place", [0, 1, 5, 19])
def test_every_place_of_a_short_text_has_the_same_chance(place):
    """A chain that began with the text would make its first tokens rarer or more frequent."""
    rng = np.random.default_rng(0)
    hits = sum(draw_spans(20, 0.3, 6.0, rng)[0][place] for _ in range(4000))
    assert hits == pytest.approx(1200, abs=6 * np.sqrt(4000 * 0.21))


def test_units_are_spans_of_the_lengths_asked_for_and_single_tokens_between():
    is_in, units = drawn(500_000, 0.3, 3.8)
    firsts = np.flatnonzero(np.diff(units, prepend=-1))
    lengths = np.diff([*firsts, len(units)])
    assert (np.diff(units[firsts]) == 1).all()
    assert (lengths[~is_in[firsts]] == 1).all()
    counted = np.bincount(lengths[is_in[firsts]], minlength=LONGEST + 1)[1:]
    assert len(counted) == LONGEST
    expected = length_chances(3.8) * counted.sum()
    assert (abs(counted - expected) <= 6 * np.sqrt(expected)).all()


@pytest.mark.parametrize("num_tokens", [0, 1, 2, 7])
def test_few_tokens_are_no_exception(num_tokens):
    is_in, units = drawn(num_tokens, 1.0, 3.8)
    assert len(is_in) == len(units) == num_tokens
    assert is_in.all()
