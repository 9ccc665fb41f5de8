"""A document as pieces that fit a row. Long documents are chunked, never cut off: every token is learnt from.

Not for text (a sentence splitter would go before the tokenizer) and not for retrieval, whose passages overlap.

Shapes:  N pieces
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

SMALLEST_SHARE = 16
"""A last piece is at least 1/16 of the room, borrowed from the piece before: a few tokens alone teach nothing."""


def chunk(ids: Sequence[int], room: int, *, cls_id: int, sep_id: int) -> list[list[int]]:
    """Turn a document into pieces `[CLS] ... [SEP]` of at most `room` tokens, special ones included.

    `ids` come without special tokens; each of them is in one piece, in order. All pieces but the last two are full: pieces
    of equal length would leave gaps that nothing fits into, and up to 12 % of all rows empty (measured with `pack`).
    The empty document becomes `[CLS] [SEP]`, as in the tokenizer.

    Raises:
        ValueError: `room` is below 3, so no token fits between the special ones.

    >>> chunk([11, 12, 13, 14, 15], room=5, cls_id=1, sep_id=2)
    [[1, 11, 12, 13, 2], [1, 14, 15, 2]]
    """
    if room < 3:
        raise ValueError(f"room is {room}, expected 3 or more: [CLS], a token and [SEP]")
    length = np.array([len(ids)])
    numbers = np.arange(num_pieces(length, room)[0])
    starts, ends = cut(np.repeat(length, len(numbers)), numbers, room)
    return [[cls_id, *ids[start:end], sep_id] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def num_pieces(lengths: Int[np.ndarray, "N"], room: int) -> Int[np.ndarray, "N"]:
    """How many pieces `chunk` makes of documents of these lengths, special tokens not counted."""
    return np.maximum(1, -(-lengths // (room - 2)))


def cut(
    lengths: Int[np.ndarray, "N"], numbers: Int[np.ndarray, "N"], room: int
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Where pieces with these numbers start and end in documents of these lengths: `chunk`, without the pieces before."""
    full = room - 2
    last = num_pieces(lengths, room) - 1
    last_starts = np.where(last > 0, np.minimum(last * full, lengths - full // SMALLEST_SHARE), 0)
    starts = np.where(numbers == last, last_starts, numbers * full)
    ends = np.where(numbers == last, lengths, np.where(numbers + 1 == last, last_starts, (numbers + 1) * full))
    return starts, ends
