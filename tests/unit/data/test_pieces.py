"""Any piece by its number, and what is left out."""

import numpy as np
import pytest

from modernbert.core.errors import ConfigError
from modernbert.data.pieces import InMemory, Pieces
from support.chunks import chunk
from support.streams import VOCABULARY, documents_of

LENGTHS = [1, 8, 9, 40, 8, 17, 3]


def spelled(documents, pieces, numbers):
    columns = pieces.find(np.array(numbers))
    return [documents.tokens(d, start, end).tolist() for d, start, end in zip(*columns, strict=True)]


def test_pieces_are_those_that_chunking_makes_in_order():
    documents = documents_of(LENGTHS)
    pieces = Pieces(documents, length=10)
    made = [chunk(documents.tokens(d), 10) for d in range(len(documents))]
    expected = [[int(token) for token in piece[1:-1]] for parts in made for piece in parts]
    assert len(pieces) == len(expected) == 14
    assert spelled(documents, pieces, range(14)) == expected
    assert spelled(documents, pieces, [13, 0, 5, 5]) == [expected[13], expected[0], expected[5], expected[5]]
    assert pieces.num_tokens == sum(LENGTHS) + 2 * 14


def test_where_nothing_is_cut_a_piece_is_a_document():
    documents = documents_of(LENGTHS)
    pieces = Pieces(documents, length=42)
    assert len(pieces) == len(LENGTHS)
    assert [len(ids) for ids in spelled(documents, pieces, [3, 0, 6])] == [40, 1, 3]


def test_documents_outside_the_bounds_are_left_out_and_both_bounds_are_inside():
    documents = documents_of(LENGTHS)
    pieces = Pieces(documents, length=10, at_least=8, at_most=17)
    assert pieces.find(np.arange(len(pieces)))[0].tolist() == [1, 2, 2, 4, 5, 5, 5]
    assert pieces.num_tokens == 8 + 9 + 8 + 17 + 2 * 7


def test_the_pieces_of_a_document_can_be_listed():
    documents = documents_of(LENGTHS)
    for length in (10, 42):
        pieces = Pieces(documents, length=length)
        whole = pieces.find(np.arange(len(pieces)))[0].tolist()
        listed = pieces.of(np.array([3, 0, 5])).tolist()
        assert listed == [n for d in (3, 0, 5) for n, document in enumerate(whole) if document == d]


@pytest.mark.parametrize(
    ("lengths", "bounds", "message"),
    [
        (
            [3, 9],
            {"at_least": 10},
            r"^source web: none of 2 documents has 10 to any tokens, they have 3 to 9: change at_",
        ),
        ([3, 9], {"at_least": 4, "at_most": 8}, r"none of 2 documents has 4 to 8 tokens"),
        ([], {}, r"^source web has no documents: expected one or more"),
    ],
    ids=["too short", "none between", "none at all"],
)
def test_nothing_left_is_refused(lengths, bounds, message):
    with pytest.raises(ConfigError, match=message):
        Pieces(documents_of(lengths), length=10, name="source web", **bounds)


def test_an_empty_document_is_refused():
    with pytest.raises(ValueError, match=r"document 1 is empty: leave it out"):
        InMemory([[5], [], [6]], VOCABULARY)


def test_documents_in_memory_are_read_in_part():
    documents = InMemory([[5, 6, 7, 8], [9]], VOCABULARY)
    assert len(documents) == 2
    assert documents.lengths.tolist() == [4, 1]
    assert documents.tokens(0, 1, 3).tolist() == [6, 7]
    assert documents.tokens(1).tolist() == [9]
