"""Baselines by hand, and against plain counting."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from modernbert.data.masking import IGNORE
from modernbert.demo.baselines import Bigram, Unigram, accuracy

CLS, SEP, MASK = 0, 1, 2
SPECIAL = {"special_ids": {CLS, SEP, MASK}, "mask_id": MASK}
THE, CAT, DOG, SAT, RAN, OWL = 3, 4, 5, 6, 7, 8
DOCUMENTS = [
    [CLS, THE, CAT, SAT, SEP],
    [CLS, THE, CAT, RAN, SEP],
    [CLS, THE, DOG, RAN, SEP],
]


def predict(baseline, inputs, documents=DOCUMENTS):
    return baseline.fit(documents, **SPECIAL).predict(np.array(inputs)).tolist()


def test_the_unigram_fills_masks_with_the_most_frequent_token():
    assert predict(Unigram, [CLS, MASK, CAT, MASK, SEP]) == [CLS, THE, CAT, THE, SEP]


def test_special_tokens_are_never_an_answer():
    assert predict(Unigram, [MASK], [[CLS, CAT, SEP]] * 3) == [CAT]
    assert predict(Bigram, [CAT, MASK], [[CLS, CAT, SEP], [MASK, MASK]]) == [CAT, CAT]
    assert predict(Bigram, [MASK, CAT], [[CLS, CAT, SEP], [THE, RAN], [THE, RAN]]) == [THE, CAT]


def test_the_bigram_asks_the_left_neighbour():
    assert predict(Bigram, [CLS, THE, MASK, RAN, SEP]) == [CLS, THE, CAT, RAN, SEP]  # 2 cats, 1 dog
    assert predict(Bigram, [CLS, THE, DOG, MASK, SEP])[3] == RAN
    assert predict(Bigram, [CLS, MASK])[1] == THE


def test_behind_a_mask_the_bigram_asks_the_right_neighbour():
    assert predict(Bigram, [MASK, MASK, SAT, SEP]) == [THE, CAT, SAT, SEP]
    assert predict(Bigram, [MASK, MASK, SEP])[1] == RAN


@pytest.mark.parametrize("unseen", [OWL, 9, 5000], ids=["one above", "two above", "far above"])
def test_behind_a_token_never_seen_the_bigram_asks_the_right_neighbour(unseen):
    assert predict(Bigram, [CLS, unseen, MASK, SAT])[2] == CAT


def test_a_token_that_nothing_ever_followed_counts_as_never_seen():
    assert predict(Bigram, [OWL, MASK, SAT], [*DOCUMENTS, [THE, OWL]])[1] == CAT


def test_between_masks_only_the_unigram_is_left():
    assert predict(Bigram, [MASK, MASK, MASK]) == [THE, THE, THE]
    assert predict(Bigram, [MASK]) == [THE]


def test_a_random_replacement_beside_a_mask_misleads_the_bigram_as_it_would_a_model():
    assert predict(Bigram, [CLS, CAT, MASK, RAN])[2] == SAT  # "the dog ran" with "the" replaced


def test_of_two_equally_likely_tokens_the_smaller_id_is_the_answer():
    assert predict(Bigram, [THE, MASK], [[THE, DOG], [THE, CAT]]) == [THE, CAT]
    assert predict(Unigram, [MASK], [[DOG, CAT]]) == [CAT]


def test_documents_are_not_neighbours_of_each_other():
    assert predict(Bigram, [DOG, MASK], [[CAT, DOG], [], [SAT, RAN], []])[1] == CAT  # the unigram: CAT is the smallest


def test_a_mask_spelled_out_in_the_training_text_is_no_neighbour():
    assert predict(Bigram, [MASK, MASK, OWL], [[MASK, DOG]] * 3 + [[CAT]] * 4)[1] == CAT


def test_a_place_that_shows_a_token_is_answered_with_it():
    inputs = np.array([CLS, THE, DOG, 5000, SEP])
    for baseline in (Unigram, Bigram):
        assert baseline.fit(DOCUMENTS, **SPECIAL).predict(inputs).tolist() == inputs.tolist()


def test_the_inputs_are_left_alone():
    inputs = np.array([CLS, MASK])
    Bigram.fit(DOCUMENTS, **SPECIAL).predict(inputs)
    assert inputs.tolist() == [CLS, MASK]


def count_slowly(documents, inputs):
    """The definition with dictionaries."""
    ordinary = [token for document in documents for token in document if token > MASK]
    after, before = {}, {}
    for document in documents:
        for left, right in pairwise(document):
            if right > MASK:
                after.setdefault(left, []).append(right)
            if left > MASK:
                before.setdefault(right, []).append(left)

    def most(tokens):
        return min(Counter(tokens).items(), key=lambda item: (-item[1], item[0]))[0]

    def fill(place):
        left = inputs[place - 1] if place > 0 else None
        right = inputs[place + 1] if place + 1 < len(inputs) else None
        if left != MASK and left in after:
            return most(after[left])
        if right != MASK and right in before:
            return most(before[right])
        return most(ordinary)

    return [fill(place) if token == MASK else token for place, token in enumerate(inputs)]


@pytest.mark.parametrize("seed", range(10))
def test_the_bigram_is_plain_counting_made_fast(seed):
    rng = np.random.default_rng(seed)
    documents = [rng.integers(0, 15, size=size).tolist() for size in rng.integers(0, 12, size=20)]
    inputs = np.where(rng.random(200) < 0.4, MASK, rng.integers(0, 18, size=200))
    assert predict(Bigram, inputs, documents) == count_slowly(documents, inputs.tolist())


def test_accuracy_counts_only_what_was_asked():
    labels = np.array([IGNORE, 5, 6, IGNORE, 7, 8])
    assert accuracy(np.array([5, 5, 6, 0, 0, 8]), labels) == 0.75


@pytest.mark.parametrize("baseline", [Unigram, Bigram])
@pytest.mark.parametrize("documents", [[], [[]], [[CLS, SEP]]], ids=["none", "empty", "only special"])
def test_nothing_to_count_is_refused(baseline, documents):
    with pytest.raises(ValueError, match=r"found no ordinary token in the documents, expected some to count"):
        baseline.fit(documents, **SPECIAL)


def test_an_accuracy_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"no label is anything but -100: there is nothing to be right about"):
        accuracy(np.array([1]), np.array([IGNORE]))
    with pytest.raises(ValueError, match=r"found 1 predictions for 2 labels, expected one each"):
        accuracy(np.array([1]), np.array([1, 2]))
