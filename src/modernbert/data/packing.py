"""Which documents share a row: best-fit packing with a bounded look-ahead.

Lengths in, places out: no text, no randomness, no memory between calls. Documents are cut before (`chunking`) and kept
apart after (`ops.packed`).

The reference trainer also packs best fit, but puts documents that did not fit back in reverse, so that an awkward one
can wait for ever. Here the oldest waiting document opens every bin.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence


def pack(lengths: Sequence[int], room: int, *, look_ahead: int = 1024) -> list[list[int]]:
    """Put documents into bins of at most `room` tokens, each filled best fit first.

    The oldest waiting document opens a bin. Then the longest that fits joins, the older one of two equals, until none
    fits. Only the `look_ahead` documents from the oldest waiting one on are looked at, so memory stays flat, and
    documents `look_ahead` or more apart never swap bins. Two bins in a row never fit into one: at worst half is lost,
    with text of all lengths less than 1 % (tests/unit/data/test_packing.py).

    Inside a bin the longest comes first. A document longer than `room` is refused: chunk it before, so that nobody
    loses text silently.

    Raises:
        ValueError: a length is zero, negative or above `room`; or `room` or `look_ahead` is below 1.

    >>> pack([5, 3, 4, 2], room=7)
    [[0, 3], [2, 1]]
    """
    _refuse_impossible(lengths, room, look_ahead)
    bins: list[list[int]] = []
    waiting: list[tuple[int, int]] = []  # (length, -index), rising: the older one of two equals comes last
    is_placed = bytearray(len(lengths))
    oldest = num_read = 0
    while True:
        free, filling = room, list[tuple[int, int]]()
        while True:
            while oldest < num_read and is_placed[oldest]:
                oldest += 1
            while num_read < min(oldest + look_ahead, len(lengths)):
                insort(waiting, (lengths[num_read], -num_read))
                num_read += 1
            if filling:
                choice = bisect_right(waiting, (free, 0)) - 1
                if choice < 0:
                    break
            elif waiting:
                choice = bisect_left(waiting, (lengths[oldest], -oldest))
            else:
                return bins
            length, minus_index = waiting.pop(choice)
            is_placed[-minus_index] = True
            free -= length
            filling.append((-length, -minus_index))
        bins.append([index for _, index in sorted(filling)])


def _refuse_impossible(lengths: Sequence[int], room: int, look_ahead: int) -> None:
    for name, value in [("room", room), ("look_ahead", look_ahead)]:
        if value < 1:
            raise ValueError(f"{name} is {value}, expected 1 or more")
    for index, length in enumerate(lengths):
        if length < 1:
            raise ValueError(f"document {index} has {length} tokens, expected 1 or more: leave empty documents out")
        if length > room:
            raise ValueError(
                f"document {index} has {length} tokens and a bin has room for {room}: cut it before"
                " (modernbert.data.chunking.cut)"
            )
