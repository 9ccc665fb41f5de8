"""What holds for any policy, any stream and any seed."""

from math import sqrt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.core.seeds import Seeds
from modernbert.data.masking import IGNORE, Masking, mask

law = settings(deadline=None, max_examples=150)

VOCABULARY, UNUSED = 60, 5  # ids 60 to 64 are unused
SPECIAL, MASK = frozenset({0, 17, 18, 59, 65, 66}), 66
ids = st.lists(st.integers(0, 66), max_size=80).map(np.array).map(lambda array: array.astype(np.int64))
seeds = st.integers(0, 2**40)


@st.composite
def policies(draw):
    mask_share = draw(st.floats(0, 1))
    random_share = draw(st.floats(0, 1)) * (1 - mask_share)
    return Masking(rate=draw(st.floats(0.01, 1)), mask_share=mask_share, random_share=random_share)


def masked(ids, policy, seed):
    rng = Seeds(seed).numpy("mask", 0)
    return mask(ids, policy, special_ids=SPECIAL, mask_id=MASK, vocabulary=VOCABULARY, rng=rng)


@given(ids, policies(), seeds)
@law
def test_special_tokens_are_never_predicted_and_never_a_replacement(ids, policy, seed):
    inputs, labels = masked(ids, policy, seed)
    is_special = np.isin(ids, list(SPECIAL))
    assert (labels[is_special] == IGNORE).all()
    assert (inputs[is_special] == ids[is_special]).all()
    new = inputs[(inputs != ids) & (inputs != MASK)]
    assert not np.isin(new, list(SPECIAL)).any()
    assert (new < VOCABULARY).all()


@given(ids, policies(), seeds)
@law
def test_a_place_that_is_not_predicted_carries_the_ignore_label_and_is_unchanged(ids, policy, seed):
    inputs, labels = masked(ids, policy, seed)
    is_predicted = labels != IGNORE
    assert (labels[is_predicted] == ids[is_predicted]).all()
    assert (inputs[~is_predicted] == ids[~is_predicted]).all()


@given(ids, policies(), seeds)
@law
def test_the_same_seed_gives_the_same_stream(ids, policy, seed):
    first, second = masked(ids, policy, seed), masked(ids.copy(), policy, seed)
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


def assert_binomial(count, num_draws, chance):
    """Within six standard deviations: one false alarm in 500 million."""
    assert abs(count - num_draws * chance) <= 6 * sqrt(num_draws * chance * (1 - chance)) + 1


@given(policies(), seeds)
@law
def test_rates_are_within_binomial_bounds(policy, seed):
    ids = np.tile(np.array([17, 1, 2, 3, 4, 5, 6, 58, 18]), 1000)
    inputs, labels = masked(ids, policy, seed)
    is_predicted = labels != IGNORE
    num_predicted = int(is_predicted.sum())
    assert_binomial(num_predicted, 7000, policy.rate)
    shown = inputs[is_predicted]
    assert_binomial((shown == MASK).sum(), num_predicted, policy.mask_share)
    is_kept = (shown != MASK) & (shown == labels[is_predicted])
    num_ordinary = VOCABULARY - 4  # a random token is the right one by chance, too
    kept = 1 - policy.mask_share - policy.random_share + policy.random_share / num_ordinary
    assert_binomial(is_kept.sum(), num_predicted, min(1.0, kept))


@given(seeds)
@law
def test_replacements_are_spread_evenly_over_the_ordinary_ids(seed):
    inputs, _ = masked(np.full(20_000, 1), Masking(rate=1, mask_share=0, random_share=1), seed)
    counts = np.bincount(inputs, minlength=VOCABULARY)
    ordinary = [token for token in range(VOCABULARY) if token not in SPECIAL]
    for token in ordinary:
        assert_binomial(counts[token], 20_000, 1 / len(ordinary))


@given(seeds)
@law
def test_places_of_a_stream_are_drawn_independently(seed):
    """Neighbours are both predicted as often as chance has it: no spans, no fixed number a document."""
    _, labels = masked(np.full(20_000, 1), Masking(rate=0.3), seed)
    is_predicted = labels != IGNORE
    assert_binomial((is_predicted[0::2] & is_predicted[1::2]).sum(), 10_000, 0.09)
