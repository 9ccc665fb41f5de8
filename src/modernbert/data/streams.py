"""From a block to its streams: which pieces share a row, and what stands in a row once it is read and masked.

Plans are made where rows are counted, in the training process, and take 3 µs a piece; reading and masking can be done anywhere.

Shapes:  T tokens of a row   N its pieces
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from modernbert.core.errors import UserError
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking
from modernbert.data.masking import mask
from modernbert.data.mixture import Block
from modernbert.data.packing import pack
from modernbert.data.pieces import Documents
from modernbert.data.shuffle import Permutation
from modernbert.data.words import Words


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What a row shall hold."""

    row: int
    """Its number in the whole stream of rows."""
    rate: float
    """Share of its ordinary tokens to predict."""
    pieces: Block

    @property
    def num_tokens(self) -> int:
        """Special ones included."""
        return int(self.pieces.lengths.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """A row that has been read and masked; documents one after the other."""

    inputs: Int[np.ndarray, "T"]
    labels: Int[np.ndarray, "T"]
    lengths: Int[np.ndarray, "N"]


def in_rows(block: Block, room: int, *, key: int) -> Iterator[Block]:
    """The block's pieces, row by row, each row at most `room` tokens.

    All pieces are there at once, so the longest opens a row, not the oldest: rows of 1,024 tokens of news are 99.3 % full
    then, not 98.7 %. Short pieces gather in the last rows, hence the rows come in an order by chance. Only the very last
    rows have gaps; with 4,096 pieces they hardly count (tests/unit/data/test_streams.py), with few they do.
    """
    if not block.lengths.size:
        return
    falling = block.part(np.argsort(-block.lengths, kind="stable"))
    rows = pack(falling.lengths.tolist(), room, look_ahead=len(falling.lengths))
    for number in Permutation(len(rows), key)(np.arange(len(rows))):
        yield falling.part(np.array(rows[number]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads and masks rows. Can be sent to another process."""

    sources: Sequence[Documents]
    """In the order of the mixture's."""
    policy: Masking
    seeds: Seeds
    words: Words | None = None

    def __call__(self, plan: Plan) -> Stream:
        """The row: a pure function of seed and plan. int32, which is half as much to send.

        Raises:
            UserError: a file of tokens is gone, or holds what is no token.
        """
        vocabulary = self.sources[0].vocabulary
        lengths = plan.pieces.lengths
        ids = np.empty(plan.num_tokens, dtype=np.int32)
        stops = np.cumsum(lengths)
        ids[stops - lengths], ids[stops - 1] = vocabulary.cls_id, vocabulary.sep_id
        pieces = plan.pieces
        columns = (pieces.sources, pieces.documents, pieces.starts, pieces.ends, stops)
        for source, document, start, end, stop in zip(*(column.tolist() for column in columns), strict=True):
            ids[stop - 1 - end + start : stop - 1] = self.sources[source].tokens(document, start, end)
        if ids.min() < 0 or ids.max() >= vocabulary.size:
            raise UserError(
                f"row {plan.row} has the token {ids.max() if ids.min() >= 0 else ids.min()}, of a vocabulary of "
                f"{vocabulary.size}: a file of tokens is corrupt; modernbert data stats --verify says which"
            )
        inputs, labels = mask(
            ids,
            self.policy,
            vocabulary=vocabulary,
            rng=self.seeds.numpy("mask", plan.row),
            rate=plan.rate,
            words=self.words,
        )
        return Stream(inputs=inputs.astype(np.int32), labels=labels.astype(np.int32), lengths=lengths)
