"""The slow twin of `modernbert.data.chunking`: one document's pieces themselves, with their special tokens."""

from collections.abc import Sequence

from modernbert.data.chunking import SMALLEST_SHARE


def chunk(ids: Sequence[int], room: int, *, cls_id: int = -1, sep_id: int = -2) -> list[list[int]]:
    full, left, pieces = room - 2, list(ids), list[list[int]]()
    while len(left) > full:
        pieces.append(left[:full])
        left = left[full:]
    borrowed = full // SMALLEST_SHARE - len(left)
    if pieces and borrowed > 0:
        left = pieces[-1][-borrowed:] + left
        pieces[-1] = pieces[-1][:-borrowed]
    return [[cls_id, *piece, sep_id] for piece in [*pieces, left]]
