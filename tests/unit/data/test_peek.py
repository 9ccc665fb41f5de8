"""What is shown is what the loader gives to training."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Loader
from modernbert.data.peek import peek
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from support.streams import shown, truth
from support.texts import CORPUS, small_tokenizer


@pytest.fixture
def loader():
    tokenizer = small_tokenizer()
    ids = tokenizer.encode([line for line in CORPUS.splitlines() if line], special=False).ids
    prose, code = (InMemory(part, Vocabulary.of(tokenizer)) for part in (ids[:12], ids[12:]))
    sources = {"prose": (Source(path=Path()), prose), "code": (Source(path=Path(), weight=3.0), code)}
    rows = Rows(length=Tokens(40), room=Tokens(100), look_ahead=30)
    return Loader(sources, rows, Masking(rate=0.4, final_rate=0.1), seeds=Seeds(5), tokens=2000)


def test_the_rows_are_those_that_are_trained_on(loader):
    peeked = peek(loader, num_rows=9)
    for row, trained in zip(peeked.rows, loader.take(9).rows, strict=True):
        assert row.number == trained.row
        assert row.num_tokens == len(trained.labels)
        assert [piece.truth.tolist() for piece in row.pieces] == truth(trained)
        assert [i for piece in row.pieces for i in piece.shown.tolist()] == trained.packed.ids.tolist()
        assert row.fates["plain"] + row.fates["special"] == (trained.labels == -100).sum()


def test_every_piece_says_where_it_is_from(loader):
    names = loader.mixture.names
    for row in peek(loader, num_rows=9).rows:
        for piece in row.pieces:
            documents = loader.reader.sources[names.index(piece.source)]
            assert piece.truth[1:-1].tolist() == documents.tokens(piece.document, piece.start, piece.end).tolist()
            assert piece.whole == documents.lengths[piece.document]


def test_fates_are_told_by_what_is_shown(loader):
    mask_id = small_tokenizer().mask_id
    found = set()
    for piece in (piece for row in peek(loader, num_rows=9).rows for piece in row.pieces):
        for fate, there, seen in zip(piece.fates, piece.truth.tolist(), piece.shown.tolist(), strict=True):
            found.add(fate)
            assert (seen == mask_id) == (fate == "hidden")
            assert (seen != there) == (fate in ("hidden", "replaced"))
            assert (fate == "special") == (there in small_tokenizer().special_ids)
    assert found == {"plain", "special", "hidden", "replaced", "kept"}


def test_a_piece_reads_as_its_text(loader):
    tokenizer = small_tokenizer()
    for piece in peek(loader, num_rows=3).rows[0].pieces:
        stretches = list(piece.stretches(tokenizer))
        assert sum(stretch.num_tokens for stretch in stretches) == len(piece.truth)
        assert all(one.fate != other.fate for one, other in pairwise(stretches))
        if all("\ufffd" not in stretch.text for stretch in stretches):  # no character is parted
            whole = "".join(stretch.text for stretch in stretches)
            assert whole == tokenizer.decode(piece.truth.tolist(), special=True)


def test_figures_are_those_of_whole_blocks(loader):
    peeked = peek(loader, num_rows=0, num_blocks=3)
    assert not peeked.rows
    assert len(peeked.lengths) == pytest.approx(3 * 30, abs=2)  # a piece a source more or less
    assert peeked.full == peeked.lengths.sum() / (peeked.num_rows * 100)
    assert peeked.shares == pytest.approx({"prose": 0.25, "code": 0.75}, abs=0.1)
    assert sum(peeked.shares.values()) == pytest.approx(1)
    taken = loader.take(peeked.num_rows)
    assert np.concatenate([np.diff(row.packed.offsets) for row in taken.rows]).tolist() == peeked.lengths.tolist()
    assert loader.state()["block"] == 2 or loader.state()["place"] == 0


def test_looking_does_not_move_the_loader(loader):
    loader.take(2)
    before = loader.state()
    peek(loader)
    assert loader.state() == before
    assert shown(loader.take(1).rows)[0][0] == 2
