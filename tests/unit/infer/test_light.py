import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modernbert.infer.light import Rectangles


class _Model:
    """What `Rectangles` asks of a model."""

    head, width = "embedding", 4


def _run(lengths, budget):
    seen = []

    def read(documents):
        seen.append([len(each) for each in documents])
        return [tuple(each) for each in documents]

    documents = [[number] * length for number, length in enumerate(lengths)]
    found = Rectangles(_Model()).run(read, documents, budget=budget)
    assert found == [tuple(each) for each in documents]
    return seen


@given(st.lists(st.integers(1, 3000), max_size=60), st.integers(1, 4096))
def test_rectangles_hold_everybody_once_within_the_budget_and_mostly_tokens(lengths, budget):
    seen = _run(lengths, budget)
    assert sorted(length for each in seen for length in each) == sorted(lengths)
    for each in seen:
        places = len(each) * max(each)
        assert len(each) == 1 or places <= budget
        assert 4 * (places - sum(each)) <= places


@pytest.mark.parametrize("length", [1, 64, 512])
def test_documents_of_one_length_are_one_rectangle(length):
    lengths = [length] * 8
    random.shuffle(lengths)
    assert _run(lengths, 4096) == [lengths]


def test_a_long_document_does_not_pad_short_ones():
    assert _run([2000, *[20] * 50], 4096) == [[20] * 50, [2000]]
