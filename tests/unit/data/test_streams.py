"""What a row holds, and how full rows are."""

import numpy as np
import pytest

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.masking import IGNORE
from modernbert.data.mixture import Block, Mixture
from modernbert.data.streams import Plan, Reader, in_rows
from support.streams import CLS, SEP, VOCABULARY, documents_of


def block_of(pieces):
    sources, documents, starts, ends = np.array(pieces).T
    return Block(sources=sources, documents=documents, starts=starts, ends=ends)


def test_a_row_is_its_pieces_with_special_tokens_around_each():
    documents = [documents_of([5, 9]), documents_of([4], source=1)]
    reader = Reader(sources=documents, policy=Masking(), seeds=Seeds(0))
    plan = Plan(row=3, rate=0.5, pieces=block_of([(0, 1, 2, 6), (1, 0, 0, 4), (0, 0, 4, 5)]))
    stream = reader(plan)
    parts = [documents[0].tokens(1, 2, 6), documents[1].tokens(0), documents[0].tokens(0, 4)]
    expected = [token for part in parts for token in (CLS, *part.tolist(), SEP)]
    assert np.where(stream.labels == IGNORE, stream.inputs, stream.labels).tolist() == expected
    assert stream.lengths.tolist() == [6, 6, 3]
    assert plan.num_tokens == len(expected) == 15
    assert stream.inputs.dtype == stream.labels.dtype == np.int32


def test_masks_follow_from_seed_row_number_and_rate():
    documents = documents_of([400])

    def hidden(seed, row, rate):
        reader = Reader(sources=[documents], policy=Masking(), seeds=Seeds(seed))
        return (reader(Plan(row=row, rate=rate, pieces=block_of([(0, 0, 0, 400)]))).labels != IGNORE).tolist()

    first = hidden(0, 7, 0.3)
    assert hidden(0, 7, 0.3) == first
    assert hidden(0, 8, 0.3) != first
    assert hidden(1, 7, 0.3) != first
    assert 20 < sum(hidden(0, 7, 0.1)) < 60 < sum(first) < 180 < sum(hidden(0, 7, 0.6))


def test_every_piece_of_a_block_is_in_one_row_and_no_row_overflows():
    block = block_of([(0, n, 0, length) for n, length in enumerate([5, 9, 3, 12, 1, 7, 9, 9])])
    rows = list(in_rows(block, 16, key=1))
    assert sorted(n for row in rows for n in row.documents.tolist()) == list(range(8))
    assert all(row.lengths.sum() <= 16 for row in rows)
    assert all((row.ends == block.ends[row.documents]).all() for row in rows)


def test_no_pieces_make_no_rows():
    assert list(in_rows(block_of([(0, 0, 0, 1)]).part(np.empty(0, dtype=int)), 16, key=1)) == []


def test_the_key_decides_the_order_of_rows_and_nothing_else():
    block = block_of([(0, n, 0, 10) for n in range(60)])
    first, other = ([row.documents.tolist() for row in in_rows(block, 24, key=key)] for key in (1, 2))
    assert first != other
    assert sorted(first) == sorted(other)


def test_rows_at_the_end_of_a_block_are_like_those_at_its_start():
    """Best fit alone would put the long pieces first and leave the short ones for the end."""
    lengths = np.random.default_rng(3).lognormal(5.8, 1.0, 4096).clip(1, 1022).astype(int)
    rows = list(in_rows(block_of([(0, n, 0, length) for n, length in enumerate(lengths)]), 8192, key=5))
    counts = np.array([len(row.documents) for row in rows])
    order = np.corrcoef(np.arange(len(rows)), counts)[0, 1]
    assert abs(order) < 4 / np.sqrt(len(rows))


class Lengths:
    """Documents of the lengths of web pages, articles and papers together; none of their tokens is ever read."""

    def __init__(self, mean, spread, seed):
        drawn = np.random.default_rng(seed).lognormal(np.log(mean) - spread**2 / 2, spread, 20_000)
        self.lengths = drawn.astype(np.int64).clip(1)
        self.vocabulary = VOCABULARY

    def __len__(self):
        return len(self.lengths)


def test_documents_of_middling_lengths_fill_rows_too():
    """News: few short ones to fill gaps with, so they must not be used up where others would do."""
    sources = {"news": (Source(path="unused"), Lengths(453, 0.5, 3))}
    settings = Rows(length=Tokens(1024), room=Tokens(1024))
    rows = list(in_rows(Mixture(sources, settings, seeds=Seeds(0)).block(0), 1024, key=0))
    assert sum(int(row.lengths.sum()) for row in rows) / (len(rows) * 1024) > 0.99


@pytest.mark.parametrize(("length", "room"), [(1024, 1024), (1024, 8192), (8192, 8192)])
def test_rows_are_more_than_99_percent_full(length, room):
    sources = {
        "short": (Source(path="unused", weight=1), Lengths(200, 1.0, 1)),
        "long": (Source(path="unused", weight=1), Lengths(3000, 1.2, 2)),
    }
    settings = Rows(length=Tokens(length), room=Tokens(room))
    mixture = Mixture(sources, settings, seeds=Seeds(0))
    rows = [row for n in range(3) for row in in_rows(mixture.block(n), room, key=n)]
    assert sum(int(row.lengths.sum()) for row in rows) / (len(rows) * room) > 0.99
