"""Documents as pieces that fit a row. Long ones are chunked, never cut off: every token is learnt from.

A piece becomes `[CLS] ... [SEP]` of at most `room` tokens, 3 or more, special ones included. Each token is in one piece, in
order, and all pieces but the last two are full: pieces of equal length would leave gaps that nothing fits into, and up to
12 % of all rows empty (measured with `pack`). The empty document is one piece, `[CLS] [SEP]`, as in the tokenizer.

Not for text (a sentence splitter would go before the tokenizer) and not for retrieval, whose passages overlap.

Shapes:  N pieces
"""

import numpy as np
from jaxtyping import Int

SMALLEST_SHARE = 16
"""A last piece is at least 1/16 of the room, borrowed from the piece before: a few tokens alone teach nothing."""


def num_pieces(lengths: Int[np.ndarray, "N"], room: int) -> Int[np.ndarray, "N"]:
    """How many pieces documents of these lengths become, special tokens not counted."""
    return np.maximum(1, -(-lengths // (room - 2)))


def cut(
    lengths: Int[np.ndarray, "N"], numbers: Int[np.ndarray, "N"], room: int
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Where the pieces with these numbers, from 0 in each document, start and end in documents of these lengths."""
    full = room - 2
    last = num_pieces(lengths, room) - 1
    last_starts = np.where(last > 0, np.minimum(last * full, lengths - full // SMALLEST_SHARE), 0)
    starts = np.where(numbers == last, last_starts, numbers * full)
    ends = np.where(numbers == last, lengths, np.where(numbers + 1 == last, last_starts, (numbers + 1) * full))
    return starts, ends
