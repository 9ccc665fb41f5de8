"""Which documents go through together: as the paper took them, or as somebody does who knows that padding costs."""

from collections.abc import Sequence
from itertools import islice
from typing import Literal

Batching = Literal["given", "sorted", "packed"]
"""given: in the order given, padded to the longest of the batch. sorted: by length first, in batches of few tokens.
packed: by length first, without any padding (ours)."""

SORTED_PLACES = {"cpu": 4096, "cuda": 262_144}
"""Tokens and padding of a batch when sorted: 8 x 512; more only leaves the cache of a CPU."""
PACKED_TOKENS = {"cpu": 16_384, "cuda": 262_144}


def grouped(
    lengths: Sequence[int], batching: Batching, *, given_batch: int = 32, device: str = "cpu"
) -> list[list[int]]:
    """Indices of documents, batch by batch.

    >>> grouped([3, 9, 2, 4], "given", given_batch=3)
    [[0, 1, 2], [3]]
    >>> grouped([3000, 90, 80, 2000], "sorted")
    [[0], [3, 1], [2]]
    """
    if batching == "given":
        rest = iter(range(len(lengths)))
        return list(iter(lambda: list(islice(rest, given_batch)), []))
    groups: list[list[int]] = []
    room = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = lengths[groups[-1][0]] if groups and batching == "sorted" else lengths[i]
        if not groups or place > room:
            groups.append([])
            place = lengths[i]
            room = (SORTED_PLACES if batching == "sorted" else PACKED_TOKENS)[device]
        groups[-1].append(i)
        room -= place
    return groups
