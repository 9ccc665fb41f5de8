"""What holds for any corpus and any way to stop and go on."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import NO_ROW, Loader
from modernbert.data.mixture import Mixture
from modernbert.data.shuffle import TABLE, Permutation
from support.streams import CLS, FIRST, SEP, documents_of, shown, truth

law = settings(deadline=None, max_examples=60)


@st.composite
def corpora(draw):
    """One to three sources, and rows to read them in."""
    sources = {}
    for number in range(draw(st.integers(1, 3))):
        lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=12))
        source = Source(path=Path("unused"), weight=draw(st.sampled_from([0.1, 1.0, 3.0])))
        sources[f"s{number}"] = (source, documents_of(lengths, source=number))
    length = draw(st.integers(3, 40))
    rows = Rows(
        length=Tokens(length), room=Tokens(length + draw(st.integers(0, 60))), look_ahead=draw(st.integers(1, 30))
    )
    return sources, rows


def loader(corpus, **settings):
    sources, rows = corpus
    masking = Masking(rate=0.5, final_rate=0.1)
    return Loader(sources, rows, masking, seeds=Seeds(1), tokens=2000, **settings)


@given(corpora(), st.lists(st.integers(0, 5), max_size=5))
@law
def test_rows_are_whole_pieces_of_one_document_each_and_never_too_long(corpus, takes):
    sources, rows = corpus
    one = loader(corpus)
    for num_rows in takes:
        for row in one.take(num_rows).rows:
            assert row.packed.num_tokens <= rows.room
            for piece in truth(row):
                assert len(piece) <= rows.length
                assert (piece[0], piece[-1]) == (CLS, SEP)
                first, last = piece[1], piece[-2]
                assert piece[1:-1] == list(range(first, last + 1))  # tokens count up through a source
                lengths = [*sources.values()][(first - FIRST) // 100_000][1].lengths
                ends = FIRST + (first - FIRST) // 100_000 * 100_000 + np.cumsum(lengths)
                assert np.searchsorted(ends, first, side="right") == np.searchsorted(ends, last, side="right")


@given(corpora(), st.integers(1, 4), st.lists(st.integers(0, 6), max_size=5))
@law
def test_the_rows_of_all_processes_together_are_those_of_one(corpus, world, takes):
    alone, ranks = loader(corpus), [loader(corpus, rank=rank, world=world) for rank in range(world)]
    for num_rows in takes:
        whole, parts = alone.take(num_rows), [rank.take(num_rows) for rank in ranks]
        real = [row for part in parts for row in part.rows if row.row != NO_ROW]
        assert shown(sorted(real, key=lambda row: row.row)) == shown(whole.rows)
        assert {len(part.rows) for part in parts} == {-(-num_rows // world)}
        assert {part.num_tokens for part in parts} == {sum(row.packed.num_tokens for row in whole.rows)}


@given(corpora())
@law
def test_every_piece_is_read_as_often_as_every_other_of_its_source_or_once_more(corpus):
    sources, rows = corpus
    mixture = Mixture(sources, rows, seeds=Seeds(2))
    blocks = [mixture.block(number) for number in range(12)]
    columns = ([getattr(block, name) for block in blocks] for name in ("sources", "documents", "starts"))
    read = Counter(zip(*(np.concatenate(column).tolist() for column in columns), strict=True))
    for number, (_, documents) in enumerate(sources.values()):
        counts = [count for piece, count in read.items() if piece[0] == number]
        num_pieces = int(np.maximum(1, -(-documents.lengths // (rows.length - 2))).sum())
        counts += [0] * (num_pieces - len(counts))
        assert max(counts) - min(counts) <= 1


@given(st.integers(1, 4 * TABLE), st.integers(0, 2**63 - 1))
@law
def test_a_shuffle_is_a_permutation(size, key):
    assert (np.bincount(Permutation(size, key)(np.arange(size)), minlength=size) == 1).all()


class Interrupted(RuleBasedStateMachine):
    """A run that is stopped anywhere and goes on, beside one that never stops."""

    @initialize(corpus=corpora(), world=st.integers(1, 3))
    def start(self, corpus, world):
        self.corpus, self.world = corpus, world
        self.steady, self.current = self._new(), self._new()

    def _new(self):
        return loader(self.corpus, rank=self.world - 1, world=self.world)

    @rule(num_rows=st.integers(0, 9))
    def take(self, num_rows):
        expected, found = self.steady.take(num_rows), self.current.take(num_rows)
        assert shown(found.rows) == shown(expected.rows)
        assert (found.num_tokens, found.num_rows) == (expected.num_tokens, expected.num_rows)

    @rule()
    def resume_afresh(self):
        state = self.current.state()
        self.current = self._new()
        self.current.resume(state)

    @rule(num_rows=st.integers(0, 9))
    def go_back(self, num_rows):
        """As after steps that were not saved."""
        state = self.current.state()
        self.current.take(num_rows)
        self.current.resume(state)

    @invariant()
    def states_are_alike(self):
        assert self.current.state() == self.steady.state()


TestInterrupted = Interrupted.TestCase
TestInterrupted.settings = settings(deadline=None, max_examples=30, stateful_step_count=12)
