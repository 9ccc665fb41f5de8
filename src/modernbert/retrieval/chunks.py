"""Documents in parts: one vector a chunk, with its place in the text.

Early chunks are read alone, each behind the prompt. Late chunks (Günther et al. 2024, arXiv 2409.04701) are read together:
the whole text, or windows of it as large as the model takes, is encoded once, and each chunk is the mean over its tokens,
which have seen the others.

Shapes:  C chunks   T tokens   D width
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from modernbert.core.errors import UserError
from modernbert.infer.engine import Engine, Reading
from modernbert.text.tokenizer import Span, Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 32_768
"""Tokens of texts whose states are kept together, for late chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunked:
    """The chunks of one text."""

    spans: list[Span]
    """Where each stands: `text[start:end]`, white space at its ends left out."""
    vectors: Float[np.ndarray, "C D"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What chunks need of an embedder."""

    engine: Engine
    before: list[int]
    """Tokens of the prompt, without special ones."""
    states: "Reading[Tensor]"
    """Hidden states of each document's tokens, [T, D]."""
    rows: Reading[np.ndarray]
    """One vector a document."""
    project: "Callable[[Tensor], Tensor]"
    """What comes behind pooling."""
    pools_mean: bool

    @property
    def room(self) -> int:
        """Tokens that fit beside the special ones and the prompt."""
        return self.engine.room.longest - len(self.enclose([]))

    def enclose(self, ids: list[int]) -> list[int]:
        """Behind the prompt, between the special tokens."""
        return self.engine.tokenizer.enclose([*self.before, *ids])


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokens of one text that are read together, and the chunks that are pooled from them."""

    start: int
    end: int
    chunks: tuple[range, ...]


def encode_chunks(
    reader: Reader, texts: Iterable[str], *, size: int, overlap: int = 0, late: bool = False
) -> list[Chunked]:
    """The chunks of each text, cut from its tokens: an empty text is one chunk, of nothing.

    Args:
        size: tokens of a chunk, without special ones and the prompt; the last may be shorter.
        overlap: tokens that neighbours share.
        late: pool chunks from the states of the whole text. Beyond the model's length, from windows that overlap by half.

    Raises:
        UserError: a chunk does not fit beside the prompt, the overlap is no smaller than it, or the model pools [CLS],
            which no chunk inside a text has.
    """
    if not 0 <= overlap < size <= reader.room:
        raise UserError(
            f"size {size} and overlap {overlap}: expected an overlap below the size, and a size of {reader.room:,} tokens or fewer, "
            "which is the model's length less special tokens and prompt"
        )
    if late and not reader.pools_mean:
        raise UserError("late=True pools the mean of each chunk: found a model that pools [CLS], use late=False")
    found: list[Chunked] = []
    for ids, spans in _some(reader.engine.tokenizer, texts):
        chunks = [_cut(len(each), size, overlap) for each in ids]
        vectors = (_late if late else _early)(reader, ids, chunks)
        for text_chunks, text_spans, rows in zip(chunks, spans, vectors, strict=True):
            found.append(Chunked(spans=[_span(text_spans, chunk) for chunk in text_chunks], vectors=rows))
    return found


def _some(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[tuple[list[list[int]], list[list[Span]]]]:
    """Tokens of a few texts at a time."""
    if isinstance(texts, str):
        raise TypeError("encode_chunks takes a list of texts: found one string, write encode_chunks([text])")
    waiting: list[str] = []
    characters = 0
    for text in texts:
        waiting.append(text)
        characters += len(text)
        if characters > _AT_ONCE:  # no text has more tokens than bytes, and few have more than characters
            encoded = tokenizer.encode(waiting, special=False, offsets=True)
            yield encoded.ids, encoded.offsets
            waiting, characters = [], 0
    if waiting:
        encoded = tokenizer.encode(waiting, special=False, offsets=True)
        yield encoded.ids, encoded.offsets


def _cut(num_tokens: int, size: int, overlap: int) -> list[range]:
    """Tokens of each chunk.

    >>> _cut(10, size=4, overlap=1)
    [range(0, 4), range(3, 7), range(6, 10)]
    """
    starts = range(0, max(1, num_tokens - overlap), size - overlap)
    return [range(start, min(start + size, num_tokens)) for start in starts]


def _span(spans: Sequence[Span], chunk: range) -> Span:
    words = [spans[i] for i in chunk if spans[i][0] < spans[i][1]]
    return (min(start for start, _ in words), max(end for _, end in words)) if words else (0, 0)


def _early(reader: Reader, ids: list[list[int]], chunks: list[list[range]]) -> Iterator[np.ndarray]:
    pieces = [
        reader.enclose(each[chunk.start : chunk.stop]) for each, own in zip(ids, chunks, strict=True) for chunk in own
    ]
    rows = reader.engine.run_ids(pieces, reader.rows)
    for own in chunks:
        yield np.stack([next(rows) for _ in own])


def _late(reader: Reader, ids: list[list[int]], chunks: list[list[range]]) -> Iterator[np.ndarray]:
    import torch

    first = reader.enclose([-1]).index(-1)
    windows = [_windows(len(each), own, reader.room) for each, own in zip(ids, chunks, strict=True)]
    pieces = [
        reader.enclose(each[window.start : window.end])
        for each, own in zip(ids, windows, strict=True)
        for window in own
    ]
    found = reader.engine.run_ids(pieces, reader.states)
    for own in windows:
        means = []
        for window in own:
            hidden_TD = next(found)
            for chunk in window.chunks:
                inside = slice(first + chunk.start - window.start, first + chunk.stop - window.start)
                # an empty text has no token of its own: its vector is that of [CLS], [SEP] and the prompt
                means.append((hidden_TD[inside] if len(chunk) else hidden_TD).float().mean(0))
        with torch.inference_mode():
            yield reader.project(torch.stack(means)).float().cpu().numpy()


def _windows(num_tokens: int, chunks: Sequence[range], room: int) -> list[_Window]:
    """As few as cover all chunks, each after the first beginning half its size before its own first chunk."""
    found: list[_Window] = []
    left = list(chunks)
    while left:
        start = 0 if not found else left[0].start - room // 2
        start = max(0, min(start, num_tokens - room))
        start = max(start, left[0].stop - room)  # a chunk larger than half of the room
        end = min(start + room, num_tokens)
        own = [chunk for chunk in left if chunk.stop <= end]
        found.append(_Window(start, end, tuple(own)))
        left = left[len(own) :]
    return found
