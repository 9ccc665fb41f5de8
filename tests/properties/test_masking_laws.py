"""What holds for any policy, any stream and any seed."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking
from modernbert.data.masking import IGNORE, mask
from modernbert.data.spans import LONGEST
from modernbert.data.vocabulary import Vocabulary
from modernbert.data.words import Words

law = settings(deadline=None, max_examples=150)

NUM_ORDINARY = 60  # ids 60 to 64 are unused
SPECIAL, MASK = frozenset({0, 17, 18, 59, 65, 66}), 66
VOCABULARY = Vocabulary(
    size=67, num_ordinary=NUM_ORDINARY, cls_id=17, sep_id=18, pad_id=0, mask_id=MASK, special_ids=SPECIAL
)
WORDS = Words(starts=np.arange(67) % 3 == 1, ends=np.arange(67) % 7 == 2)
ids = st.lists(st.integers(0, 66), max_size=80).map(np.array).map(lambda array: array.astype(np.int64))
seeds = st.integers(0, 2**40)


@st.composite
def policies(draw):
    mask_share = draw(st.floats(0, 1))
    random_share = draw(st.floats(0, 1)) * (1 - mask_share)
    unit = draw(st.sampled_from([{}, {"whole_words": True}, {"span": draw(st.floats(1, 10))}]))
    return Masking(rate=draw(st.floats(0.01, 1)), mask_share=mask_share, random_share=random_share, **unit)


def masked(ids, policy, seed):
    rng = Seeds(seed).numpy("mask", 0)
    return mask(ids, policy, vocabulary=VOCABULARY, rng=rng, words=WORDS)


@given(ids, policies(), seeds)
@law
def test_special_tokens_are_never_predicted_and_never_a_replacement(ids, policy, seed):
    inputs, labels = masked(ids, policy, seed)
    is_special = np.isin(ids, list(SPECIAL))
    assert (labels[is_special] == IGNORE).all()
    assert (inputs[is_special] == ids[is_special]).all()
    new = inputs[(inputs != ids) & (inputs != MASK)]
    assert not np.isin(new, list(SPECIAL)).any()
    assert (new < NUM_ORDINARY).all()


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
    """One false alarm in 500 million, by the exact law: where something is rare, standard deviations tell too little."""
    assert min(binom.cdf(count, num_draws, chance), binom.sf(count - 1, num_draws, chance)) > 1e-9


def assert_near(count, num_draws, chance, together):
    """Within six standard deviations of so many draws, of which so many share their fate."""
    assert abs(count - num_draws * chance) <= 6 * sqrt(together * num_draws * chance * (1 - chance)) + 1


def test_the_law_takes_what_may_happen_and_nothing_else():
    assert_binomial(998, 1000, 0.99999)  # once in 20,000 times
    for count in (400, 600):
        with pytest.raises(AssertionError):
            assert_binomial(count, 1000, 0.5)
    for count, chance in ((999, 1.0), (1, 0.0), (995, 0.99999)):
        with pytest.raises(AssertionError):
            assert_binomial(count, 1000, chance)


@given(policies(), seeds)
@law
def test_rates_are_within_binomial_bounds(policy, seed):
    """Of 1,000 documents: tokens of one may share their fate, so documents are counted."""
    ids = np.tile(np.array([17, 1, 2, 3, 4, 5, 6, 58, 18]), 1000)
    inputs, labels = masked(ids, policy, seed)
    is_predicted = (labels != IGNORE).reshape(1000, 9)
    for place in range(1, 8):  # no place of a document is predicted more often than another
        assert_near(is_predicted[:, place].sum(), 1000, policy.rate, together=2 * LONGEST)
    shown, truth = inputs.reshape(1000, 9), ids.reshape(1000, 9)
    first = is_predicted.argmax(axis=1)[is_predicted.any(axis=1)]  # of each document that has one
    shown, truth = (column[is_predicted.any(axis=1), first] for column in (shown, truth))
    assert_binomial((shown == MASK).sum(), len(shown), policy.mask_share)
    by_chance = policy.random_share / (NUM_ORDINARY - 4)  # a random token that is the right one
    kept = 1 - policy.mask_share - policy.random_share + by_chance
    assert_binomial((shown == truth).sum(), len(shown), min(1.0, max(0.0, kept)))


@given(seeds)
@law
def test_replacements_are_spread_evenly_over_the_ordinary_ids(seed):
    inputs, _ = masked(np.full(20_000, 1), Masking(rate=1, mask_share=0, random_share=1), seed)
    counts = np.bincount(inputs, minlength=NUM_ORDINARY)
    ordinary = [token for token in range(NUM_ORDINARY) if token not in SPECIAL]
    for token in ordinary:
        assert_binomial(counts[token], 20_000, 1 / len(ordinary))


@given(seeds)
@law
def test_places_of_a_stream_are_drawn_independently(seed):
    """Neighbours are both predicted as often as chance has it: no spans, no fixed number a document."""
    _, labels = masked(np.full(20_000, 1), Masking(rate=0.3), seed)
    is_predicted = labels != IGNORE
    assert_binomial((is_predicted[0::2] & is_predicted[1::2]).sum(), 10_000, 0.09)


@given(policies(), seeds, st.integers(1, 5))
@law
def test_the_first_token_of_a_document_is_predicted_at_the_rate_however_short_it_is(policy, seed, size):
    _, labels = masked(np.tile(np.array([17, *[1] * size, 18]), 2000), policy, seed)
    is_predicted = (labels != IGNORE).reshape(2000, size + 2)
    assert_near(is_predicted[:, 1].sum(), 2000, policy.rate, together=2 * LONGEST)
    assert not is_predicted[:, [0, -1]].any()
