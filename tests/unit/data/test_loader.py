"""Rows by number: how they are shared out, prepared, resumed, and held out. The laws are in tests/properties."""

import json
import os
import signal
import time

import numpy as np
import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import NO_ROW, Loader, held_out_rows
from modernbert.data.masking import IGNORE
from modernbert.data.shard_writer import write_shards
from modernbert.data.shards import Shards
from modernbert.data.words import Words
from modernbert.ops.packed import Packed
from support.streams import CLS, MASK, SEP, VOCABULARY, documents_of, shown, truth
from support.texts import small_tokenizer

LENGTHS = [5, 70, 9, 31, 12, 44, 3, 3, 28, 130] * 3
ROWS = Rows(length=Tokens(32), room=Tokens(64), look_ahead=20)


def loader(*, sources=None, rows=ROWS, masking=None, tokens=10_000, seed=0, **settings):
    sources = sources or {
        "web": (Source(path="unused", weight=2), documents_of(LENGTHS)),
        "code": (Source(path="unused"), documents_of(LENGTHS[::-1], source=1)),
    }
    return Loader(sources, rows, masking or Masking(), seeds=Seeds(seed), tokens=tokens, **settings)


def test_a_batch_says_what_it_is():
    one = loader()
    first, second = one.take(3), one.take(2)
    assert (first.num_rows, second.num_rows) == (3, 2)
    assert [row.row for row in first.rows + second.rows] == [0, 1, 2, 3, 4]
    assert first.num_tokens == sum(row.packed.num_tokens for row in first.rows)


def test_rows_are_what_packing_lists_would_make():
    for row in loader().take(10).rows:
        lists = [document.tolist() for document in row.packed.split(row.packed.ids)]
        twin = Packed.from_lists(lists)
        assert torch.equal(row.packed.ids, twin.ids)
        assert torch.equal(row.packed.positions, twin.positions)
        assert row.packed.ids.dtype == row.packed.positions.dtype == row.labels.dtype == torch.int64
        assert (row.packed.offsets, row.packed.widest) == (twin.offsets, twin.widest)
        assert not row.packed.has_holes


def test_an_epoch_of_rows_holds_every_token_once_whatever_blocks_it_takes():
    documents = documents_of(LENGTHS)
    num_pieces = sum(max(1, -(-length // 30)) for length in LENGTHS)
    for num_blocks in (1, 3):
        assert num_pieces % num_blocks == 0
        rows = Rows(length=Tokens(32), room=Tokens(64), look_ahead=num_pieces // num_blocks)
        one = loader(sources={"web": (Source(path="unused"), documents)}, rows=rows)
        found = []
        while len(found) < num_pieces:
            found += truth(one.take(1).rows[0])
        assert one.state()["block"] == num_blocks - 1
        assert all(piece[0] == CLS and piece[-1] == SEP for piece in found)
        tokens = sorted(token for piece in found for token in piece[1:-1])
        assert tokens == sorted(token for d in range(len(documents)) for token in documents.tokens(d).tolist())


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_out_the_rows_of_one(world):
    alone = loader()
    ranks = [loader(rank=rank, world=world) for rank in range(world)]
    for num_rows in (4, 1, 6, 5):
        whole, parts = alone.take(num_rows), [rank.take(num_rows) for rank in ranks]
        assert {len(part.rows) for part in parts} == {-(-num_rows // world)}
        assert {(part.num_tokens, part.num_rows) for part in parts} == {(whole.num_tokens, whole.num_rows)}
        real = sorted((row for part in parts for row in part.rows if row.row != NO_ROW), key=lambda row: row.row)
        assert shown(real) == shown(whole.rows)
        for rank, part in enumerate(parts):
            assert all(row.row % world == rank for row in part.rows if row.row != NO_ROW)
    assert len({json.dumps(rank.state()) for rank in [alone, *ranks]}) == 1


def test_a_row_that_keeps_processes_in_step_has_nothing_to_predict():
    idle = loader(rank=1, world=2).take(1)
    (row,) = idle.rows
    assert row.packed.ids.tolist() == [CLS, SEP]
    assert row.labels.tolist() == [IGNORE, IGNORE]
    assert idle.num_tokens > 2
    assert row.row == NO_ROW


def test_any_number_of_workers_prepares_the_same_rows(tmp_path):
    """Shards too, which every process opens for itself."""
    with write_shards(tmp_path / "shards", small_tokenizer(), shard_tokens=500) as writer:
        for length in LENGTHS:
            writer.append((np.arange(length) % 200).tolist())
    source = {"web": (Source(path=tmp_path), Shards.open(tmp_path / "shards"))}
    expected = None
    for num_workers in (0, 1, 3):
        with loader(sources=source, num_workers=num_workers, world=2, rank=1) as one:
            batches = [one.take(n) for n in (3, 8, 1)]
            state = one.state()
            one.resume({"block": 1, "place": 2, "row": 23})
            batches.append(one.take(4))
            one.resume(state)
            batches.append(one.take(2))
        found = [(shown(batch.rows), batch.num_tokens) for batch in batches]
        expected = expected or found
        assert found == expected
        assert one.take(0).rows == []


def test_a_closed_loader_goes_on_where_it_was():
    with loader(num_workers=1) as one:
        one.take(2)
    after = one.take(3)
    one.close()
    whole = loader().take(5)
    assert shown(after.rows) == shown(whole.rows[2:])


def test_a_worker_that_is_gone_is_told():
    with loader(num_workers=2) as one:
        one.take(2)  # and the next two are prepared, one by each worker
        os.kill(one._workers._processes[1].pid, signal.SIGKILL)
        one._workers._processes[1].join()
        with pytest.raises(
            UserError, match=r"a process that prepares rows is gone \(exit code -9.*lower data\.num_workers"
        ):
            one.take(4)


def test_what_a_worker_meets_is_raised_here(tmp_path):
    folder = tmp_path / "shards"
    with write_shards(folder, small_tokenizer()) as writer:
        writer.append([5, 6, 7])
    source = {"web": (Source(path=folder), Shards.open(folder))}
    with loader(sources=source, num_workers=1) as one:
        (folder / "00000.tokens").unlink()
        with pytest.raises(FileNotFoundError, match=r"00000\.tokens"):
            one.take(1)


class Endless:
    """A corpus too large to walk through: its tokens follow from the place asked for."""

    vocabulary = VOCABULARY
    lengths = np.full(100_000, 20)

    def __len__(self):
        return len(self.lengths)

    def tokens(self, document, start=0, end=None):
        return np.arange(start, 20 if end is None else end) + 10 + document


def test_a_billion_rows_are_skipped_at_once():
    one = loader(sources={"web": (Source(path="unused"), Endless())}, tokens=10**14)
    one.take(3)
    began = time.perf_counter()
    one.resume({"block": 10**8, "place": 3, "row": 10**9})
    (row,) = one.take(1).rows
    assert time.perf_counter() - began < 1
    assert row.row == 10**9
    assert one.state() == {"block": 10**8, "place": 4, "row": 10**9 + 1}


def test_a_state_is_three_numbers_wherever_it_is():
    one = loader()
    one.take(57)
    assert json.loads(json.dumps(one.state())) == one.state()
    assert sorted(one.state()) == ["block", "place", "row"]


def test_the_rate_moves_with_the_tokens_read():
    one = loader(
        sources={"web": (Source(path="unused"), documents_of([62] * 400))},
        rows=Rows(length=Tokens(64), room=Tokens(64), look_ahead=50),
        masking=Masking(rate=0.6, final_rate=0.1),
        tokens=64 * 400,
    )
    shares = [float((row.labels != IGNORE).float().mean()) for row in one.take(600).rows]
    means = [np.mean(shares[start : start + 100]) * 64 / 62 for start in (0, 150, 300, 400, 500)]
    assert means == pytest.approx([0.5375, 0.35, 0.1625, 0.1, 0.1], abs=0.03)


def test_whole_words_are_those_of_the_words_given():
    words = Words(starts=np.zeros(VOCABULARY.size, dtype=bool), ends=np.zeros(VOCABULARY.size, dtype=bool))
    for row in loader(masking=Masking(rate=0.5, whole_words=True), words=words).take(8).rows:
        for labels in row.packed.split(row.labels):
            assert len(set((labels[1:-1] != IGNORE).tolist())) == 1  # each document is one word


def test_epochs_are_the_mixtures():
    one = loader()
    tokens = sum(LENGTHS) + 2 * sum(-(-length // 30) for length in LENGTHS)
    assert one.mixture.epochs(3 * tokens) == pytest.approx({"web": 2.0, "code": 1.0})


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {},
            r"the place to go on from is {}, expected block, place and row, each 0 or more: the checkpoint is damaged",
        ),
        ({"block": 0, "place": -1, "row": 0}, r"is {'block': 0, 'place': -1, 'row': 0}, expected"),
        ({"block": 0, "place": 0.5, "row": 0}, r"expected block, place and row"),
        ({"block": 0, "place": 0, "row": 0, "epoch": 1}, r"expected block, place and row"),
        (
            {"block": 2, "place": 4000, "row": 9000},
            r"is row 4000 of block 2, which has \d+: the sources or the stage's rows",
        ),
    ],
    ids=["nothing", "negative", "no whole number", "too much", "no such place"],
)
def test_a_place_that_is_none_is_refused(state, message):
    with pytest.raises(UserError, match=message):
        loader().resume(state)


def held_out(documents=None, *, seed=0, tokens=400, rate=0.15, **rows):
    settings = {"length": Tokens(32), "room": Tokens(64)} | rows
    return list(
        held_out_rows(
            documents or documents_of(LENGTHS), Rows(**settings), rate=rate, seeds=Seeds(seed), tokens=Tokens(tokens)
        )
    )


def test_held_out_rows_are_the_same_each_time():
    assert shown(held_out()) == shown(held_out())
    assert shown(held_out()) != shown(held_out(seed=1))
    assert [row.row for row in held_out()] == list(range(len(held_out())))


def test_held_out_rows_are_as_many_tokens_as_asked_and_no_more():
    documents = documents_of(LENGTHS)
    total = sum(LENGTHS) + 2 * sum(-(-length // 30) for length in LENGTHS)
    for tokens in (100, 400, total - 1, total, 10**9):
        read = sum(row.packed.num_tokens for row in held_out(documents, tokens=tokens))
        assert min(tokens, total) - 32 < read <= min(tokens, total)
        assert tokens < total or read == total
    assert len(held_out(tokens=1)) == 1  # never nothing


def test_held_out_text_is_read_without_repetition():
    pieces = [tuple(piece) for row in held_out(tokens=10**9) for piece in truth(row)]
    assert len(set(pieces)) == len(pieces)
    assert sorted(t for piece in pieces for t in piece[1:-1]) == sorted(range(10, 10 + sum(LENGTHS)))


def test_stages_are_judged_by_the_same_held_out_text():
    """Whatever the length of their rows, but for what special tokens cost."""

    def ordinary(**rows):
        return {t for row in held_out(tokens=600, **rows) for piece in truth(row) for t in piece[1:-1]}

    short, long = ordinary(), ordinary(length=Tokens(200), room=Tokens(256))
    assert short <= long
    assert len(long - short) < 0.2 * len(long)


def test_held_out_rows_are_masked_as_in_training_at_the_rate_asked_for():
    rows = held_out(documents_of([300] * 200), tokens=10**9, rate=0.4, length=Tokens(302), room=Tokens(302))
    inputs, labels = (
        torch.cat(columns) for columns in zip(*((row.packed.ids, row.labels) for row in rows), strict=True)
    )
    predicted = labels != IGNORE
    assert predicted.float().mean() * 302 / 300 == pytest.approx(0.4, abs=0.02)
    assert (inputs[predicted] == MASK).float().mean() == pytest.approx(0.8, abs=0.02)
    assert (inputs[predicted] == labels[predicted]).float().mean() == pytest.approx(0.1, abs=0.02)


def test_held_out_rows_are_packed_a_block_at_a_time():
    rows = held_out(tokens=10**9, look_ahead=5)
    assert sorted(t for row in rows for piece in truth(row) for t in piece[1:-1]) == sorted(
        range(10, 10 + sum(LENGTHS))
    )
    assert all(row.packed.num_tokens <= 64 for row in rows)
