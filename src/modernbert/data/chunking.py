"""A document as pieces that fit a row. Long documents are chunked, never cut off: every token is learnt from.

Not for text (a sentence splitter would go before the tokenizer) and not for retrieval, whose passages overlap.
"""

from collections.abc import Sequence
from itertools import pairwise

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
    full = room - 2
    num_pieces = max(1, -(-len(ids) // full))
    cuts = [*range(0, num_pieces * full, full), len(ids)]
    if num_pieces > 1:
        cuts[-2] = min(cuts[-2], len(ids) - full // SMALLEST_SHARE)
    return [[cls_id, *ids[start:end], sep_id] for start, end in pairwise(cuts)]
