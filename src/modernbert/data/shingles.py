"""Words as 64-bit numbers, and runs of n words as one: what near duplicates and overlaps with test sets are counted in.

A word is a run of letters, marks and digits, small letters or not; in a script without spaces every character is a word.
Equal words have equal numbers on every machine, different ones different numbers (but for a chance of 2**-64, as no
adversary is at work here). All in numpy, four times faster than joining and hashing strings.

Shapes:  C characters of the text   W words
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from jaxtyping import Bool, UInt

from modernbert.data.scripts import WITHOUT_SPACES, script_of

_BETWEEN, _IN_WORD, _WORD_ALONE = 0, 1, 2
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 2**64)


def words(text: str) -> UInt[np.ndarray, "W"]:
    """One number a word, in order.

    >>> one, two, again = words("One, two; ONE!")
    >>> bool(one == again), bool(one == two)
    (True, False)
    """
    plain = unicodedata.normalize("NFC", text).lower()
    codes_C = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds_C = _kinds()[codes_C]
    starts, ends = _edges(kinds_C)
    # A word is a polynomial in _BASE. Sums over its place in the text, less its place, need no loop over words.
    powers, inverses = _powers(_BASE, len(codes_C)), _powers(_INVERSE, len(codes_C))
    sums = np.zeros(len(codes_C) + 1, np.uint64)
    np.cumsum((codes_C.astype(np.uint64) + np.uint64(1)) * powers[: len(codes_C)], out=sums[1:])
    return _mixed((sums[ends] - sums[starts]) * inverses[starts])


def runs(words_W: UInt[np.ndarray, "W"], n: int) -> UInt[np.ndarray, "runs"]:
    """One number for every `n` words in a row, in order; none when there are fewer words.

    >>> len(runs(words("to be or not to be"), 2))
    5
    """
    return next(runs_of_each(words_W, [n]))


def runs_of_each(words_W: UInt[np.ndarray, "W"], sizes: Sequence[int]) -> Iterator[UInt[np.ndarray, "runs"]]:
    """The runs of several sizes, which rise: each goes on from the one before."""
    total, reached = np.zeros(len(words_W), np.uint64), 0
    for size in sizes:
        total = total[: max(0, len(words_W) - size + 1)].copy()
        for place in range(reached, size) if len(total) else ():
            total += words_W[place : place + len(total)] * _powers(_BASE, size)[place]
        reached = size
        yield _mixed(total)


def as_one(rows: UInt[np.ndarray, "rows n"]) -> UInt[np.ndarray, "rows"]:
    """One number for each row, equal when all numbers of the row are, in order."""
    return _mixed((rows * _powers(_BASE, rows.shape[1])[: rows.shape[1]]).sum(axis=1, dtype=np.uint64))


def _edges(kinds_C: UInt[np.ndarray, "C"]) -> tuple[np.ndarray, np.ndarray]:
    """Where words start and end; a character that is a word alone also ends the one before it."""
    is_word_C: Bool[np.ndarray, C] = kinds_C != _BETWEEN
    parts_C1 = np.ones(len(kinds_C) + 1, bool)  # whether there is an edge before each character, and after the last
    parts_C1[1:-1] = ~((kinds_C[1:] == _IN_WORD) & (kinds_C[:-1] == _IN_WORD))
    return np.flatnonzero(is_word_C & parts_C1[:-1]), np.flatnonzero(is_word_C & parts_C1[1:]) + 1


def _mixed(numbers: UInt[np.ndarray, "n"]) -> UInt[np.ndarray, "n"]:
    """The finalizer of splitmix64 (Steele et al. 2014): the low bits of a polynomial are poor."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


_tables: dict[int, np.ndarray] = {}


def _powers(base: int, at_least: int) -> UInt[np.ndarray, "powers"]:
    """base ** 0, 1, 2, ... modulo 2**64; kept, for every text needs them."""
    table = _tables.get(base)
    if table is None or len(table) <= at_least:
        table = np.full(max(2**16, 2 * at_least), base, np.uint64)
        table[0] = 1
        np.multiply.accumulate(table, out=table)
        _tables[base] = table
    return table


@cache
def _kinds() -> UInt[np.ndarray, "characters"]:
    """What each code point is to a word; surrogates and what Unicode has not assigned part words."""
    kinds = np.zeros(0x110000, np.uint8)
    for code in range(0x33480):  # the last letter of Unicode 17; those above are private or unassigned
        character = chr(code)
        if unicodedata.category(character)[0] in "LMN":
            kinds[code] = _WORD_ALONE if script_of(character) in WITHOUT_SPACES else _IN_WORD
    return kinds
