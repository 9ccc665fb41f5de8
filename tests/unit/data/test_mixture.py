"""Shares of tokens, epochs, and blocks that nobody has to ask for in order."""

from collections import Counter

import numpy as np
import pytest

from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Rows, Source
from modernbert.data.mixture import Mixture
from support.streams import documents_of


def rows(*, length=32, look_ahead=50):
    return Rows(length=Tokens(length), room=Tokens(64), look_ahead=look_ahead)


def mixture(weights_and_lengths, seed=0, **settings):
    sources = {
        f"s{n}": (Source(path="unused", weight=weight), documents_of(lengths, source=n))
        for n, (weight, lengths) in enumerate(weights_and_lengths)
    }
    return Mixture(sources, rows(**settings), seeds=Seeds(seed))


def pieces_of(block):
    return list(zip(block.sources.tolist(), block.documents.tolist(), block.starts.tolist(), strict=True))


def test_every_piece_comes_once_an_epoch_and_epochs_differ_in_order():
    made = mixture([(1.0, [5, 70, 9, 30, 12])], look_ahead=7)  # 1 + 3 + 1 + 1 + 1 pieces, one epoch a block
    blocks = [pieces_of(made.block(n)) for n in range(3)]
    assert [sorted(block) for block in blocks] == [sorted(blocks[0])] * 3
    assert len(set(blocks[0])) == 7
    assert blocks[0] != blocks[1] != blocks[2]


def test_each_epoch_of_a_source_has_an_order_of_its_own():
    made = mixture([(1.0, [5] * 9)], look_ahead=1)  # so that nothing else is shuffled
    read = [pieces_of(made.block(n))[0] for n in range(27)]
    epochs = [read[:9], read[9:18], read[18:]]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)


def test_sources_of_equal_size_are_not_read_in_step():
    block = mixture([(1.0, [9] * 500), (1.0, [9] * 500)], look_ahead=200).block(0)
    first, second = (set(block.documents[block.sources == source].tolist()) for source in (0, 1))
    assert len(first) == len(second) == 100
    assert 5 < len(first & second) < 40  # 20 by chance


def test_an_epoch_need_not_end_with_a_block():
    made = mixture([(1.0, [5] * 10)], look_ahead=4)
    read = [piece for n in range(5) for piece in pieces_of(made.block(n))]
    assert Counter(read) == Counter(dict.fromkeys(read, 2))
    assert [len(set(read[:n])) for n in (8, 10, 12)] == [
        8,
        10,
        10,
    ]  # the third block holds the end of one and the start of the next


def test_a_block_can_hold_many_epochs_of_a_small_source():
    block = mixture([(1.0, [5, 6, 7])], look_ahead=300).block(4)
    assert set(Counter(pieces_of(block)).values()) == {100}


def test_weights_are_shares_of_tokens_whatever_the_lengths():
    rng = np.random.default_rng(0)
    short, long = rng.integers(1, 5, 4000).tolist(), rng.integers(20, 90, 900).tolist()
    made = mixture([(3.0, short), (1.0, long), (0.5, short[:100])], look_ahead=200)
    tokens = np.zeros(3)
    for n in range(100):
        block = made.block(n)
        np.add.at(tokens, block.sources, block.lengths)
        if n == 9:
            assert np.abs(tokens / tokens.sum() - np.array([6, 2, 1]) / 9).max() < 0.02
    assert np.abs(tokens / tokens.sum() - np.array([6, 2, 1]) / 9).max() < 0.004


def test_blocks_are_as_large_as_asked_and_no_piece_is_forgotten_by_rounding():
    made = mixture([(1.0, [3] * 11), (2.0, [5] * 7), (0.001, [6])], look_ahead=50)
    sizes = [len(made.block(n).sources) for n in range(60)]
    assert max(sizes) - min(sizes) <= 2
    assert abs(sum(sizes) - 60 * 50) < 3
    assert made.block(10**15).sources.size in (49, 50, 51)


def test_quotas_below_one_piece_add_up():
    made = mixture([(1.0, [3]), (1.0, [3]), (2.0, [3])], look_ahead=1)
    sizes = [len(made.block(n).sources) for n in range(8)]
    assert sizes == [0, 1, 0, 3, 0, 1, 0, 3]


def test_a_block_is_the_same_whenever_it_is_asked_for_and_another_with_another_seed():
    sources = [(1.0, [5, 70, 9] * 20), (0.3, [8] * 30)]
    first, again, other = mixture(sources), mixture(sources), mixture(sources, seed=1)
    late = pieces_of(first.block(12_345))
    assert pieces_of(again.block(12_345)) == late
    assert pieces_of(other.block(12_345)) != late
    assert [pieces_of(first.block(n)) for n in range(3)] == [pieces_of(again.block(n)) for n in range(3)]


def test_a_source_keeps_its_order_whatever_is_read_beside_it():
    """So what a run has read of a source is known from its name and seed, not from the others."""
    alone = mixture([(1.0, [9] * 1000)], look_ahead=100)
    mixed = mixture([(1.0, [9] * 1000), (1.0, [4] * 1000)], look_ahead=400)
    taken = {piece for piece in pieces_of(mixed.block(0)) if piece[0] == 0}
    first = {piece for n in range(3) for piece in pieces_of(alone.block(n))}
    assert len(taken) > 100
    assert taken <= first


def test_the_pieces_of_a_block_are_mixed():
    block = mixture([(1.0, [9] * 1000), (1.0, [9] * 1000)], look_ahead=1000).block(0)
    changes = (np.diff(block.sources) != 0).mean()
    assert 0.4 < changes < 0.6


def test_epochs_are_what_will_be_read_over_what_there_is():
    made = mixture([(3.0, [8] * 10), (1.0, [38] * 5)])
    assert made.epochs(4000) == pytest.approx({"s0": 3000 / (10 * 10), "s1": 1000 / (5 * 42)})


def test_epochs_are_what_the_blocks_read():
    made = mixture([(0.7, [5, 70, 9, 31] * 9), (0.3, [20] * 50)], look_ahead=64)
    blocks = [made.block(n) for n in range(200)]
    tokens = sum(int(block.lengths.sum()) for block in blocks)
    read = Counter(piece for block in blocks for piece in pieces_of(block))
    for source, expected in enumerate(made.epochs(tokens).values()):
        counts = [count for piece, count in read.items() if piece[0] == source]
        assert min(counts) == pytest.approx(expected, abs=1.5)
        assert max(counts) - min(counts) <= 1


def test_no_source_is_refused():
    with pytest.raises(ConfigError, match=r"there is no source to read: expected one or more in data\.sources"):
        Mixture({}, rows(), seeds=Seeds(0))


def test_a_source_without_documents_of_the_lengths_asked_for_is_named():
    sources = {"books": (Source(path="unused", at_least=Tokens(9)), documents_of([3, 4]))}
    with pytest.raises(ConfigError, match=r"^source books: none of 2 documents has 9 to any tokens"):
        Mixture(sources, rows(), seeds=Seeds(0))
