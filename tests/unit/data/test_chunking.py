"""Nothing is lost, nothing overflows, and no piece is a crumb."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modernbert.data.chunking import SMALLEST_SHARE, cut, num_pieces
from support.chunks import chunk


def pieces_of(length, room):
    """Where the pieces of one document start and end."""
    (count,) = num_pieces(np.array([length]), room)
    starts, ends = cut(np.full(count, length), np.arange(count), room)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


@pytest.mark.parametrize(
    ("length", "pieces"),
    [(0, [0]), (1, [1]), (64, [64]), (65, [61, 4]), (67, [63, 4]), (68, [64, 4]), (128, [64, 64]), (130, [64, 62, 4])],
)
def test_pieces_are_full_and_the_last_one_borrows(length, pieces):
    assert [end - start for start, end in pieces_of(length, 66)] == pieces


@given(length=st.integers(0, 300), room=st.integers(3, 80))
def test_every_token_is_in_one_piece_in_order(length, room):
    pieces = pieces_of(length, room)
    assert [token for start, end in pieces for token in range(start, end)] == list(range(length))
    sizes = [end - start + 2 for start, end in pieces]
    assert all(size <= room for size in sizes)
    assert len(pieces) == max(1, -(-length // (room - 2)))  # no more pieces than needed
    assert all(size == room for size in sizes[:-2])
    if len(pieces) > 1:
        assert all(size - 2 >= max(1, (room - 2) // SMALLEST_SHARE) for size in sizes)


@given(lengths=st.lists(st.integers(0, 300), min_size=1, max_size=5), room=st.integers(3, 80))
def test_many_documents_are_cut_as_one_by_one(lengths, room):
    counts = num_pieces(np.array(lengths), room)
    starts, ends = cut(np.repeat(lengths, counts), np.concatenate([np.arange(count) for count in counts]), room)
    slow = [piece[1:-1] for length in lengths for piece in chunk(range(length), room)]
    assert [list(range(start, end)) for start, end in zip(starts, ends, strict=True)] == slow
