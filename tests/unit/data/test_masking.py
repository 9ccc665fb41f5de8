"""Worked examples and refusals; the laws are in tests/properties/test_masking_laws.py."""

import numpy as np
import pytest

from modernbert.core.errors import ConfigError
from modernbert.core.seeds import Seeds
from modernbert.data.masking import IGNORE, Masking, mask

CLS, SEP, MASK = 90, 91, 92
SPECIAL = {CLS, SEP, MASK}


def masked(ids, policy, seed=0, vocabulary=90, special_ids=SPECIAL):
    rng = Seeds(seed).numpy("mask")
    return mask(np.array(ids), policy, special_ids=special_ids, mask_id=MASK, vocabulary=vocabulary, rng=rng)


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


def test_replacements_are_all_the_ordinary_ids_and_no_other():
    special = {0, 2, 3, 7, 9, 11, MASK}
    inputs, _ = masked([50] * 2000, Masking(rate=1, mask_share=0, random_share=1), vocabulary=10, special_ids=special)
    assert set(inputs.tolist()) == {1, 4, 5, 6, 8}


def test_the_mask_counts_as_special_though_not_listed():
    policy = Masking(rate=1, mask_share=0, random_share=1)
    inputs, labels = masked([MASK, 5] * 500, policy, vocabulary=94, special_ids={CLS})
    assert (labels[::2] == IGNORE).all()
    assert not {MASK, CLS} & set(inputs[1::2].tolist())


def test_the_callers_ids_are_left_alone_and_small_integers_do_not_wrap():
    ids = np.array([CLS, 5, 6, SEP], dtype=np.uint8)
    policy = Masking(rate=1, mask_share=1, random_share=0)
    rng = np.random.default_rng(0)
    inputs, labels = mask(ids, policy, special_ids={CLS, SEP, 300}, mask_id=300, vocabulary=90, rng=rng)
    assert ids.tolist() == [CLS, 5, 6, SEP]
    assert inputs.tolist() == [CLS, 300, 300, SEP]
    assert labels.tolist() == [IGNORE, 5, 6, IGNORE]
    assert inputs.dtype == labels.dtype == np.int64


def test_an_empty_stream_stays_empty():
    inputs, labels = masked([], Masking())
    assert inputs.shape == labels.shape == (0,)


def test_which_places_are_predicted_does_not_depend_on_the_ordinary_ids():
    _, labels = masked([5] * 200, Masking())
    _, others = masked(list(range(10, 90)) + [7] * 120, Masking())
    assert ((labels == IGNORE) == (others == IGNORE)).all()
    assert 0 < (labels != IGNORE).sum() < 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0}, r"masking\.rate is 0, expected a share above 0 and up to 1"),
        ({"rate": 1.5}, r"masking\.rate is 1\.5"),
        ({"rate": float("nan")}, r"masking\.rate is nan"),
        ({"mask_share": -0.1}, r"masking\.mask_share is -0\.1, expected a share from 0 to 1"),
        ({"random_share": 2.0}, r"masking\.random_share is 2\.0, expected a share from 0 to 1"),
        ({"random_share": 0.3}, r"mask_share 0\.8 and masking\.random_share 0\.3 are together above 1: .*; lower one"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Masking(**settings)


def test_a_vocabulary_without_ordinary_ids_is_refused():
    with pytest.raises(ValueError, match=r"a vocabulary of 2 ids, 2 of them special, has none to replace tokens with"):
        masked([5], Masking(), vocabulary=2, special_ids={0, 1})
