"""Worked examples and refusals; the laws are in tests/properties/test_masking_laws.py."""

import numpy as np
import pytest

from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking
from modernbert.data.masking import IGNORE, mask
from modernbert.data.vocabulary import Vocabulary
from modernbert.data.words import Words

CLS, SEP, MASK = 90, 91, 92


def vocabulary(num_ordinary=90, special_ids=frozenset({CLS, SEP, MASK}), size=400, mask_id=MASK):
    return Vocabulary(
        size=size, num_ordinary=num_ordinary, cls_id=CLS, sep_id=SEP, pad_id=0, mask_id=mask_id, special_ids=special_ids
    )


def masked(ids, policy, seed=0, words=None, rate=None, **of_vocabulary):
    rng = Seeds(seed).numpy("mask")
    return mask(
        np.array(ids, dtype=int), policy, vocabulary=vocabulary(**of_vocabulary), rng=rng, rate=rate, words=words
    )


def test_the_ignored_label_is_that_of_the_loss():
    from modernbert.ops import loss

    assert IGNORE == loss.IGNORE


def test_at_rate_one_every_ordinary_token_is_hidden():
    inputs, labels = masked([CLS, 5, 6, SEP, CLS, 7, SEP], Masking(rate=1, mask_share=1, random_share=0))
    assert inputs.tolist() == [CLS, MASK, MASK, SEP, CLS, MASK, SEP]
    assert labels.tolist() == [IGNORE, 5, 6, IGNORE, IGNORE, 7, IGNORE]


def test_tokens_can_be_predicted_and_kept():
    inputs, labels = masked([CLS, 5, 6, SEP], Masking(rate=1, mask_share=0, random_share=0))
    assert inputs.tolist() == [CLS, 5, 6, SEP]
    assert labels.tolist() == [IGNORE, 5, 6, IGNORE]


def test_a_rate_of_the_moment_goes_before_that_of_the_policy():
    _, labels = masked([5] * 50, Masking(rate=0.01), rate=1.0)
    assert (labels == 5).all()


def test_replacements_are_all_the_ordinary_ids_and_no_other():
    special = frozenset({0, 2, 3, 7, 9, 11, MASK})
    policy = Masking(rate=1, mask_share=0, random_share=1)
    inputs, _ = masked([50] * 2000, policy, num_ordinary=10, special_ids=special)
    assert set(inputs.tolist()) == {1, 4, 5, 6, 8}


def test_the_mask_counts_as_special_though_not_listed():
    policy = Masking(rate=1, mask_share=0, random_share=1)
    inputs, labels = masked([MASK, 5] * 500, policy, num_ordinary=94, special_ids=frozenset({CLS}))
    assert (labels[::2] == IGNORE).all()
    assert not {MASK, CLS} & set(inputs[1::2].tolist())


@pytest.mark.parametrize("kind", [np.uint8, np.int32])
def test_the_callers_ids_are_left_alone_and_small_integers_do_not_wrap(kind):
    ids = np.array([CLS, 5, 6, SEP], dtype=kind)
    policy = Masking(rate=1, mask_share=1, random_share=0)
    facts = vocabulary(special_ids=frozenset({CLS, SEP, 300}), mask_id=300)
    inputs, labels = mask(ids, policy, vocabulary=facts, rng=np.random.default_rng(0))
    assert ids.tolist() == [CLS, 5, 6, SEP]
    assert inputs.tolist() == [CLS, 300, 300, SEP]
    assert labels.tolist() == [IGNORE, 5, 6, IGNORE]
    assert inputs.dtype == labels.dtype == np.int64


@pytest.mark.parametrize(
    "policy", [Masking(), Masking(span=3.0), Masking(whole_words=True)], ids=["tokens", "spans", "words"]
)
@pytest.mark.parametrize("ids", [[], [CLS, SEP]], ids=["empty", "nothing but special tokens"])
def test_nothing_can_be_hidden_where_nothing_is(policy, ids):
    inputs, labels = masked(ids, policy, words=EVERY_TEN)
    assert inputs.tolist() == ids
    assert (labels == IGNORE).all()


def test_which_places_are_predicted_does_not_depend_on_the_ordinary_ids():
    for policy in (Masking(), Masking(span=3.0)):
        _, labels = masked([5] * 200, policy)
        _, others = masked(list(range(10, 90)) + [7] * 120, policy)
        assert ((labels == IGNORE) == (others == IGNORE)).all()
        assert 0 < (labels != IGNORE).sum() < 200


EVERY_TEN = Words(starts=np.arange(400) % 10 == 0, ends=np.arange(400) % 10 == 9)
"""Tokens 0, 10, 20 ... begin a word, and 9, 19, 29 ... end one."""


def units(labels):
    """Runs of equal fate, as lists of places."""
    is_predicted = labels != IGNORE
    cuts = np.flatnonzero(np.diff(is_predicted)) + 1
    return [(bool(is_predicted[part[0]]), part.tolist()) for part in np.split(np.arange(len(labels)), cuts)]


def test_a_word_is_predicted_as_a_whole_or_not_at_all():
    words = [[10, 11, 12], [20], [30, 31, 9], [33, 34], [CLS], [35, 36], [SEP, CLS], [40, 41]]
    ids = [token for word in words for token in word]
    ends = np.cumsum([len(word) for word in words])
    fates = set()
    for seed in range(60):
        _, labels = masked(ids, Masking(rate=0.5, whole_words=True), seed, words=EVERY_TEN)
        fate = [set((labels[end - len(word) : end] != IGNORE).tolist()) for word, end in zip(words, ends, strict=True)]
        assert all(len(of_word) == 1 for of_word in fate)
        assert fate[4] == fate[6] == {False}
        fates.add(tuple(of_word.copy().pop() for of_word in fate))
    pairs = [(0, 1), (1, 2), (2, 3), (3, 5), (5, 7)]
    for one, other in pairs:  # and each by itself
        assert {(fate[one], fate[other]) for fate in fates} == {(a, b) for a in (False, True) for b in (False, True)}


def test_whole_words_need_words():
    with pytest.raises(ValueError, match=r"whole words are asked for without `words`: pass words_of\(tokenizer\)"):
        masked([5], Masking(whole_words=True))


def test_a_span_shows_alike():
    policy = Masking(rate=0.02, span=3.8, mask_share=0.5, random_share=0.2)  # so rare that spans hardly touch
    inputs, labels = masked([5] * 60_000, policy, num_ordinary=4)  # replacements are 0 to 3, so never 5
    runs = [places for is_predicted, places in units(labels) if is_predicted and len(places) > 1]
    ways = np.where(inputs == MASK, 0, np.where(inputs == 5, 2, 1))
    alike = [places for places in runs if len(set(ways[places].tolist())) == 1]
    assert len(alike) > 0.95 * len(runs) > 100
    for way, share in enumerate([0.5, 0.2, 0.3]):
        assert np.mean([ways[places[0]] == way for places in alike]) == pytest.approx(share, abs=0.15)
    at_random = [set(inputs[places].tolist()) for places in alike if ways[places[0]] == 1]
    assert any(len(tokens) > 1 for tokens in at_random)  # a random token for each place


def test_spans_that_touch_are_two():
    inputs, labels = masked([5] * 400, Masking(rate=1, span=1.0, mask_share=0.5, random_share=0))
    assert (labels == 5).all()
    assert (inputs == MASK).mean() == pytest.approx(0.5, abs=0.15)


def test_a_span_that_a_special_token_cuts_is_two():
    policy = Masking(rate=0.9, span=9.0, mask_share=0.5, random_share=0)
    rows = [masked([5, SEP, 5], policy, seed) for seed in range(300)]
    assert all(inputs[1] == SEP for inputs, _ in rows)
    both = [inputs for inputs, labels in rows if (labels != IGNORE).sum() == 2]
    assert np.mean([inputs[0] == inputs[2] for inputs in both]) == pytest.approx(0.5, abs=0.2)


def test_a_vocabulary_without_ordinary_ids_is_refused():
    with pytest.raises(
        ValueError, match=r"a vocabulary of 2 ids in use, all of them special, has none to replace tokens with"
    ):
        masked([5], Masking(), num_ordinary=2, special_ids=frozenset({0, 1}))
