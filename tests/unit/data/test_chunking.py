"""Nothing is lost, nothing overflows, and no piece is a crumb."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modernbert.data.chunking import SMALLEST_SHARE, chunk

CLS, SEP = -1, -2


@pytest.mark.parametrize(
    ("length", "pieces"),
    [(0, [0]), (1, [1]), (64, [64]), (65, [61, 4]), (67, [63, 4]), (68, [64, 4]), (128, [64, 64]), (130, [64, 62, 4])],
)
def test_pieces_are_full_and_the_last_one_borrows(length, pieces):
    made = chunk(range(length), 66, cls_id=CLS, sep_id=SEP)
    assert [len(piece) - 2 for piece in made] == pieces


@given(length=st.integers(0, 300), room=st.integers(3, 80))
def test_every_id_is_in_one_piece_in_order(length, room):
    pieces = chunk(list(range(length)), room, cls_id=CLS, sep_id=SEP)
    assert [token for piece in pieces for token in piece[1:-1]] == list(range(length))
    assert all(piece[0] == CLS and piece[-1] == SEP and len(piece) <= room for piece in pieces)
    assert len(pieces) == max(1, -(-length // (room - 2)))  # no more pieces than needed
    assert all(len(piece) == room for piece in pieces[:-2])
    if len(pieces) > 1:
        assert all(len(piece) - 2 >= max(1, (room - 2) // SMALLEST_SHARE) for piece in pieces)


def test_a_room_without_room_for_a_token_is_refused():
    with pytest.raises(ValueError, match=r"room is 2, expected 3 or more: \[CLS\], a token and \[SEP\]"):
        chunk([5], 2, cls_id=CLS, sep_id=SEP)
