"""Rows as a person reads them: what the model sees, what was there, and how full rows are."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice, takewhile
from typing import Literal

import numpy as np
from jaxtyping import Int

from modernbert.data.loader import Loader
from modernbert.data.masking import IGNORE
from modernbert.data.streams import Plan
from modernbert.text.tokenizer import Tokenizer

Fate = Literal["plain", "special", "hidden", "replaced", "kept"]
"""Of a token. The last three are predicted: shown as [MASK], as a random token, and as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Neighbours of one fate."""

    fate: Fate
    num_tokens: int
    text: str
    """What was there."""
    shown: str
    """What the model sees instead; the same but for `hidden` and `replaced`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A document in a row, or a part of one."""

    source: str
    document: int
    start: int
    end: int
    """Which of its tokens, special ones not counted."""
    whole: int
    """How many the document has."""
    truth: Int[np.ndarray, "T"]
    shown: Int[np.ndarray, "T"]
    """What was there and what the model sees, [CLS] and [SEP] included."""
    fates: list[Fate]

    def stretches(self, tokenizer: Tokenizer) -> Iterator[Stretch]:
        """The piece as text."""
        place = 0
        for fate, members in groupby(self.fates):
            here = slice(place, place + len(list(members)))
            place = here.stop
            truth, shown = (tokenizer.decode(ids[here].tolist(), special=True) for ids in (self.truth, self.shown))
            yield Stretch(fate=fate, num_tokens=here.stop - here.start, text=truth, shown=shown)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What passes through the model at once."""

    number: int
    num_tokens: int
    pieces: list[Piece]

    @property
    def fates(self) -> Counter[Fate]:
        """How many tokens of each."""
        return Counter(fate for piece in self.pieces for fate in piece.fates)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peeked:
    """The first rows, and figures of the first blocks, which are whole."""

    rows: list[Row]
    room: int
    num_blocks: int
    num_rows: int
    """Of these blocks."""
    full: float
    """Share of their room that tokens take, [CLS] and [SEP] among them."""
    shares: dict[str, float]
    """Of their tokens, by source."""
    lengths: Int[np.ndarray, "P"]
    """Tokens of each of their pieces."""


def peek(loader: Loader, *, num_rows: int = 1, num_blocks: int = 4) -> Peeked:
    """Look at the beginning of a loader's stream, all processes' rows. The loader stays where it is."""
    rows = [_row(loader, plan) for plan, _, _ in islice(loader.plans(0, 0, 0), num_rows)]
    plans = [plan for plan, _, _ in takewhile(lambda step: step[1] < num_blocks, loader.plans(0, 0, 0))]
    lengths = np.concatenate([plan.pieces.lengths for plan in plans])
    tokens = np.bincount(np.concatenate([plan.pieces.sources for plan in plans]), lengths, len(loader.mixture.names))
    return Peeked(
        rows=rows,
        room=loader.rows.room,
        num_blocks=num_blocks,
        num_rows=len(plans),
        full=float(lengths.sum() / (len(plans) * loader.rows.room)),
        shares=dict(zip(loader.mixture.names, (tokens / lengths.sum()).tolist(), strict=True)),
        lengths=lengths,
    )


def _row(loader: Loader, plan: Plan) -> Row:
    stream, pieces = loader.reader(plan), plan.pieces
    truth = np.where(stream.labels == IGNORE, stream.inputs, stream.labels)
    fates = _fates(truth, stream.inputs, stream.labels, loader)
    stops = np.cumsum(stream.lengths).tolist()
    found = []
    columns = (pieces.sources, pieces.documents, pieces.starts, pieces.ends, stream.lengths)
    for stop, (source, document, start, end, length) in zip(
        stops, zip(*(column.tolist() for column in columns), strict=True), strict=True
    ):
        here = slice(stop - length, stop)
        found.append(
            Piece(
                source=loader.mixture.names[source],
                document=document,
                start=start,
                end=end,
                whole=int(loader.reader.sources[source].lengths[document]),
                truth=truth[here],
                shown=stream.inputs[here],
                fates=fates[here],
            )
        )
    return Row(number=plan.row, num_tokens=plan.num_tokens, pieces=found)


def _fates(truth: np.ndarray, shown: np.ndarray, labels: np.ndarray, loader: Loader) -> list[Fate]:
    """A random token that happens to be the right one counts as kept."""
    vocabulary = loader.reader.sources[0].vocabulary
    names: list[Fate] = ["plain", "special", "hidden", "replaced", "kept"]
    special = np.isin(truth, [*vocabulary.special_ids])
    fates = np.select([special, labels == IGNORE, shown == vocabulary.mask_id, shown != truth], [1, 0, 2, 3], default=4)
    return [names[fate] for fate in fates.tolist()]
