"""Words as numbers, against the slow twin that cuts strings."""

import unicodedata

import numpy as np
import pytest

from modernbert.data.shingles import as_one, runs, runs_of_each, words
from support.slow_words import UNALIKE, slow_words
from support.texts import CORPUS, NASTY

TEXTS = {**NASTY, "corpus": CORPUS, "Thai": "ภาษาไทย is ไทย", "alone first": "字abc字", "long": "word " * 40_000}


@pytest.mark.parametrize("name", TEXTS)
def test_numbers_are_equal_where_the_words_are(name):
    slow = slow_words(TEXTS[name])
    numbers = words(TEXTS[name]).tolist()
    assert len(numbers) == len(slow)
    assert len(set(numbers)) == len(set(slow)) == len(set(zip(numbers, slow, strict=True)))


def test_every_character_is_a_word_alone_or_not_as_its_script_is():
    characters = [
        c for c in map(chr, range(0x33480)) if unicodedata.category(c) not in ("Cn", "Cs") and c not in UNALIKE
    ]
    text = "".join(f" a{c}{c}" for c in characters)
    assert len(words(text)) == len(slow_words(text))


def test_the_same_word_has_the_same_number_in_every_text():
    assert words("light")[0] == words("x" * 70_000 + " the LIGHT.")[2] == 15234439491212590092


@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_runs_are_equal_where_all_their_words_are(n):
    numbers = words(CORPUS)
    slow = slow_words(CORPUS)
    expected = [tuple(slow[i : i + n]) for i in range(len(slow) - n + 1)]
    found = runs(numbers, n).tolist()
    assert len(found) == len(expected)
    assert len(set(found)) == len(set(expected)) == len(set(zip(found, expected, strict=True)))


def test_runs_of_several_sizes_are_those_of_each():
    numbers = words(CORPUS)
    for few in (numbers, numbers[:6], numbers[:0]):
        together = [found.tolist() for found in runs_of_each(few, [2, 5, 8, 13])]
        assert together == [runs(few, n).tolist() for n in (2, 5, 8, 13)]


def test_order_counts_in_a_run():
    one, other = words("a b"), words("b a")
    assert runs(one, 2)[0] != runs(other, 2)[0]


def test_fewer_words_than_a_run_give_none():
    assert runs(words("one two"), 3).tolist() == []
    assert words("?!").tolist() == []


def test_rows_are_one_number_each():
    rows = np.array([[1, 2], [2, 1], [1, 2]], np.uint64)
    assert len(set(as_one(rows).tolist())) == 2
