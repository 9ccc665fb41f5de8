"""Order by chance without keeping the order: any place of a permutation can be asked for at once.

For resuming in an instant, and for corpora whose order would not fit into memory. A Feistel network over the smallest
power of two that holds all numbers, walked on until the result is one of them (Black and Rogaway 2002, "Ciphers with
arbitrary finite domains"). Few numbers are put in order by their hashes instead, for networks of few bits cannot reach
every permutation. Integers only, so every machine and every version of numpy gives the same. Not a cipher.

Shapes:  P places asked for
"""

import numpy as np
from jaxtyping import Int

TABLE = 2**14
"""Up to so many numbers the order is a table: 128 kB, and every permutation is possible."""

ROUNDS = 8
"""Four would do for single places and pairs of them (tests/unit/data/test_shuffle.py); twice as many cost 0.1 ms a block."""


class Permutation:
    """The numbers 0 to size - 1, each once, in an order that follows from the key."""

    def __init__(self, size: int, key: int) -> None:
        """Take any whole number as the key, best one of `Seeds.for_`."""
        self.size = size
        bits = max(2, (size - 1).bit_length())
        self._low, self._high = np.uint64(bits // 2), np.uint64(bits - bits // 2)
        start = np.uint64(key % 2**64)
        with np.errstate(over="ignore"):
            self._keys = mix(start + np.arange(1, ROUNDS + 1, dtype=np.uint64) * _STEP)
        self._table = (
            np.argsort(mix(np.arange(size, dtype=np.uint64) ^ self._keys[0]), kind="stable") if size <= TABLE else None
        )

    def __call__(self, places: Int[np.ndarray, "P"]) -> Int[np.ndarray, "P"]:
        """The numbers at these places, int64."""
        if self._table is not None:
            return self._table[places]
        numbers = self._network(places.astype(np.uint64))
        outside = np.flatnonzero(numbers >= self.size)
        while outside.size:  # half of them at most each time
            numbers[outside] = self._network(numbers[outside])
            outside = outside[numbers[outside] >= self.size]
        return numbers.astype(np.int64)

    def _network(self, numbers: np.ndarray) -> np.ndarray:
        one = np.uint64(1)
        low_mask, high_mask = (one << self._low) - one, (one << self._high) - one
        high, low = numbers >> self._low, numbers & low_mask
        for number, key in enumerate(self._keys):
            if number % 2:
                low = low ^ (mix(high ^ key) & low_mask)
            else:
                high = high ^ (mix(low ^ key) & high_mask)
        return high << self._low | low


_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(numbers: np.ndarray) -> np.ndarray:
    """Hash uint64 to uint64, one to one: the finalizer of SplitMix64 (Steele, Lea, Flood 2014, variant 13 of Stafford)."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)
