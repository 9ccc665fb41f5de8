"""Rows for training: a pure function of (seed, row number), whatever the number of processes that train or prepare.

A place in the stream is three numbers, so a run resumes at once, without reading again what it has read. How rows come
about: `mixture` chooses the pieces of a block, `streams` packs them into rows, reads and masks them. Held-out text goes
the same way, in one order and under the same masks each time.

Shapes:  T tokens of a row
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from modernbert.core.errors import UserError
from modernbert.core.seeds import Seeds
from modernbert.data._workers import Workers
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.masking import IGNORE
from modernbert.data.mixture import Block, Mixture
from modernbert.data.pieces import Documents, Pieces
from modernbert.data.shuffle import Permutation
from modernbert.data.streams import Plan, Reader, Stream, in_rows
from modernbert.data.vocabulary import Vocabulary
from modernbert.data.words import Words
from modernbert.ops.packed import Packed

NO_ROW = -1
"""The number of a row that only keeps processes in step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskedBatch:
    """Documents with some tokens hidden, and what was there."""

    packed: Packed
    labels: Int[Tensor, "T"]
    """The hidden token where one is to be predicted, -100 elsewhere."""
    row: int = NO_ROW
    """Its number in the stream of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one optimizer step learns from."""

    rows: list[MaskedBatch]
    """Of this process; every process has equally many."""
    num_tokens: int
    """Of all processes together."""
    num_rows: int
    """Of all processes together, without those that keep them in step."""


class Loader:
    """The rows of a stage, one process's share of them. State: the next row's place, and rows prepared ahead."""

    def __init__(
        self,
        sources: Mapping[str, tuple[Source, Documents]],
        rows: Rows,
        masking: Masking,
        *,
        seeds: Seeds,
        tokens: int,
        rank: int = 0,
        world: int = 1,
        num_workers: int = 0,
        words: Words | None = None,
    ) -> None:
        """Begin at the first row.

        Args:
            sources: Settings and documents by name, all of one vocabulary.
            rows: How pieces become rows.
            masking: What is predicted.
            seeds: Of the stage; each source, block and row has a stream of its own.
            tokens: The stage's, over which the masking rate moves.
            rank: This process takes the rows whose number leaves this remainder when divided by `world`.
            world: How many processes train.
            num_workers: How many processes prepare rows ahead; they start with the first `take`.
            words: `words_of(tokenizer)`, where whole words are masked.

        Raises:
            ConfigError: a source has no document of the lengths asked for, or there is no source.
        """
        self.mixture = Mixture(sources, rows, seeds=seeds)
        self.rows, self._seeds, self._tokens = rows, seeds, max(1, tokens)
        self._rank, self._world, self._num_workers = rank, world, num_workers
        self.reader = Reader(
            sources=[documents for _, documents in sources.values()], policy=masking, seeds=seeds, words=words
        )
        self._workers: Workers[Plan, Stream] | None = None
        self._begin(block=0, place=0, row=0)

    def take(self, num_rows: int) -> Batch:
        """The next rows of the stream: of `num_rows` those of this process.

        Where they cannot be shared out evenly, a process with one less gets `[CLS] [SEP]` with nothing to predict, so
        that all of them call each other equally often.

        Raises:
            UserError: a process that prepares rows is gone.
        """
        num_tokens, rows = 0, list[MaskedBatch]()
        self._plan_ahead(num_rows)
        for _ in range(num_rows):
            plan, self._block, self._place = self._ahead.popleft()
            self._row += 1
            num_tokens += plan.num_tokens
            if self._is_ours(plan):
                stream = self.reader(plan) if self._workers is None else self._workers.take()
                rows.append(_batch(stream, plan.row))
        if self._workers is not None:  # the next batch is mostly as large; it is prepared while this one is learnt from
            self._plan_ahead(num_rows)
        missing = -(-num_rows // self._world) - len(rows)
        rows += [_filler(self.reader.sources[0].vocabulary) for _ in range(missing)]
        return Batch(rows=rows, num_tokens=num_tokens, num_rows=num_rows)

    def state(self) -> dict[str, int]:
        """Where the next row is, for JSON: its block, its place there, its number."""
        return {"block": self._block, "place": self._place, "row": self._row}

    def resume(self, state: Mapping[str, int]) -> None:
        """Go on from where `state` told. Takes as long as planning one block, however far that is.

        Raises:
            UserError: there is no such place in this stream.
        """
        if sorted(state) != ["block", "place", "row"] or not all(type(n) is int and n >= 0 for n in state.values()):
            raise UserError(
                f"the place to go on from is {dict(state)}, expected block, place and row, each 0 or more: the checkpoint"
                " is damaged or of another version; go on from an older one"
            )
        num_places = sum(1 for _ in self._in_block(state["block"]))
        if state["place"] > num_places:
            raise UserError(
                f"the place to go on from is row {state['place']} of block {state['block']}, which has {num_places}: the"
                " sources or the stage's rows are not what they were; put them back, or begin a new run"
            )
        if self._workers is not None:
            for plan, _, _ in self._ahead:
                if self._is_ours(plan):
                    self._workers.take()
        self._begin(**state)

    def plans(self, block: int, place: int, row: int) -> Iterator[tuple[Plan, int, int]]:
        """All rows of the stream from there on, not yet read, each with the block and the place after it."""
        while True:
            for pieces in islice(self._in_block(block), place, None):
                spent = row * self.rows.room / self._tokens
                place += 1
                yield Plan(row=row, rate=self.reader.policy.rate_at(spent), pieces=pieces), block, place
                row += 1
            block, place = block + 1, 0

    def close(self) -> None:
        """End the processes that prepare rows; another `take` would start them anew."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None
            self._begin(**self.state())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, *, block: int, place: int, row: int) -> None:
        self._block, self._place, self._row = block, place, row
        self._ahead: deque[tuple[Plan, int, int]] = deque()
        self._coming = self.plans(block, place, row)

    def _plan_ahead(self, num_rows: int) -> None:
        """See to it that so many rows are planned, and ours among them on their way."""
        if self._workers is None and self._num_workers:
            self._workers = Workers(self.reader, self._num_workers)
        while len(self._ahead) < num_rows:
            self._ahead.append(next(self._coming))
            if self._workers is not None and self._is_ours(self._ahead[-1][0]):
                self._workers.give(self._ahead[-1][0])

    def _in_block(self, block: int) -> Iterator[Block]:
        return in_rows(self.mixture.block(block), self.rows.room, key=self._seeds.for_("rows", block))

    def _is_ours(self, plan: Plan) -> bool:
        return plan.row % self._world == self._rank


def held_out_rows(documents: Documents, rows: Rows, *, rate: float, seeds: Seeds, tokens: int) -> Iterator[MaskedBatch]:
    """Rows to be judged by: the same documents and the same masks each time, 80 % [MASK], 10 % random, 10 % kept.

    Documents come in an order that follows from the seeds alone, so one seed gives the same text at any length of row.
    The last piece that fits into `tokens`, special ones included, ends it; one piece is read in any case.
    """
    pieces = Pieces(documents, length=rows.length, name="held-out text")
    order = Permutation(len(documents), seeds.for_("held out"))(np.arange(len(documents)))
    numbers = pieces.of(order[: 1 + int(np.searchsorted(np.cumsum(documents.lengths[order]), tokens))])
    found, starts, ends = pieces.find(numbers)
    num_read = max(1, int(np.searchsorted(np.cumsum(ends - starts + 2), tokens, side="right")))
    whole = Block(sources=np.zeros_like(found), documents=found, starts=starts, ends=ends)
    reader = Reader(sources=[documents], policy=Masking(rate=rate), seeds=seeds)
    row = 0
    for first in range(0, num_read, rows.look_ahead):
        block = whole.part(np.arange(first, min(num_read, first + rows.look_ahead)))
        for part in in_rows(block, rows.room, key=seeds.for_("rows", first)):
            yield _batch(reader(Plan(row=row, rate=rate, pieces=part)), row)
            row += 1


def _batch(stream: Stream, row: int) -> MaskedBatch:
    """Positions are counted by numpy: a quarter of torch's 70 µs, which become 3 ms where its threads wait for a busy core."""
    lengths, offsets = stream.lengths, np.cumsum(stream.lengths)
    positions = np.arange(offsets[-1]) - np.repeat(offsets - lengths, lengths)
    packed = Packed(
        ids=torch.from_numpy(stream.inputs.astype(np.int64)),
        offsets=(0, *offsets.tolist()),
        positions=torch.from_numpy(positions),
        widest=int(lengths.max()) - 1,
    )
    return MaskedBatch(packed=packed, labels=torch.from_numpy(stream.labels.astype(np.int64)), row=row)


def _filler(vocabulary: Vocabulary) -> MaskedBatch:
    """The smallest row with nothing to predict."""
    inputs, labels = np.array([vocabulary.cls_id, vocabulary.sep_id]), np.array([IGNORE, IGNORE])
    return _batch(Stream(inputs=inputs, labels=labels, lengths=np.array([2])), NO_ROW)
