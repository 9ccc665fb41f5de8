"""Worked examples, refusals, and how full the bins get."""

import numpy as np
import pytest

from modernbert.data.packing import pack
from support.chunks import chunk


def test_no_documents_need_no_bin():
    assert pack([], room=7) == []


def test_the_longest_that_fits_joins_first():
    assert pack([5, 1, 2, 3, 4], room=9) == [[0, 4], [3, 2, 1]]


def test_the_older_one_of_two_equals_joins_first():
    assert pack([6, 2, 2, 2], room=8) == [[0, 1], [2, 3]]


def test_an_awkward_document_is_not_overtaken_twice():
    """Once it is the oldest it opens a bin, though younger ones would fill one to the brim."""
    assert pack([6, 7, 4, 4, 6, 4], room=10) == [[0, 2], [1], [4, 3], [5]]


def test_only_documents_within_the_look_ahead_join():
    assert pack([6, 9, 9, 4], room=10, look_ahead=2) == [[0], [1], [2], [3]]
    assert pack([6, 9, 9, 4], room=10, look_ahead=3) == [[0, 3], [1], [2]]


def test_the_look_ahead_moves_on_while_a_bin_is_filled():
    assert pack([3, 3, 3, 3], room=12, look_ahead=1) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("lengths", "settings", "message"),
    [
        ([3, 0], {"room": 7}, r"document 1 has 0 tokens, expected 1 or more: leave empty documents out"),
        ([-2, 3], {"room": 7}, r"document 0 has -2 tokens, expected 1 or more"),
        ([7, 8], {"room": 7}, r"document 1 has 8 tokens and a bin has room for 7: cut it before .*chunking\.cut"),
        ([3], {"room": 0}, r"room is 0, expected 1 or more"),
        ([3], {"room": 7, "look_ahead": 0}, r"look_ahead is 0, expected 1 or more"),
    ],
    ids=["empty", "negative", "too long", "no room", "no look-ahead"],
)
def test_what_cannot_be_packed_is_refused(lengths, settings, message):
    with pytest.raises(ValueError, match=message):
        pack(lengths, **settings)


@pytest.mark.parametrize(("mean", "spread"), [(200, 1.0), (400, 1.0), (700, 1.0), (3000, 1.2)])
def test_rows_are_more_than_99_percent_full_on_realistic_lengths(mean, spread):
    """Lognormal documents, the long ones chunked: the lengths of web pages, articles, papers."""
    room, rng = 1024, np.random.default_rng(5)
    documents = rng.lognormal(np.log(mean) - spread**2 / 2, spread, size=6_000_000 // mean).astype(int)
    lengths = [len(piece) for length in documents for piece in chunk(range(length), room)]
    bins = pack(lengths, room)
    assert sum(lengths) / (len(bins) * room) > 0.99


def test_rows_are_nearly_full_with_a_short_look_ahead_too():
    lengths = np.random.default_rng(5).lognormal(5.5, 1.0, size=10_000).clip(3, 1024).astype(int).tolist()
    assert sum(lengths) / (len(pack(lengths, 1024, look_ahead=64)) * 1024) > 0.98
