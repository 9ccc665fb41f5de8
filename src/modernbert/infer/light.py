"""A model that runs without torch, in a model's place in an `Engine` and in the predictors: lists of ids go in, one array a
document comes out.

Shapes:  t tokens of one document   C labels   D width   M places   V vocabulary
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from modernbert.core.errors import UserError
from modernbert.model.config import ModelConfig
from modernbert.text.tokenizer import Tokenizer

Result = TypeVar("Result")

Head = Literal[
    "fill-mask", "text-classification", "token-classification", "question-answering", "multiple-choice",
    "embedding", "late", "trunk",
]  # fmt: skip
"""What a model gives; the Hub's words where it has one."""

POOLED: tuple[Head, ...] = ("text-classification", "multiple-choice", "embedding")
"""Heads that give one row a document; the others give one a token."""

_PLACES = 4096
"""Tokens and padding of a batch: eight times 512; more only leaves the cache of a CPU."""

_PADDING = 4
"""One place of so many may be padding."""

_NUMBERS = 1 << 26
"""Of one output: logits over a vocabulary are many."""


class Light(ABC):
    """See the module. Threads may share it."""

    def __init__(self, folder: Path, config: ModelConfig, tokenizer: Tokenizer, *, head: Head, width: int) -> None:
        """Begin.

        Args:
            width: numbers in a row of what comes out.
        """
        self.folder = folder
        self.config = config
        self.tokenizer = tokenizer
        self.head: Head = head
        self.width = width

    def rows(self, documents: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """One array a document, in float32: [C] or [D]; [t, C], [t, D] or [t, V]; of answers [2, t].

        Raises:
            UserError: a token id is outside the vocabulary.
        """
        self._check(documents)
        return self._rows(documents) if documents else []

    def rows_at(self, documents: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> np.ndarray:
        """Of heads that give a row a token, those of some tokens only: [M, C], [M, D] or [M, V].

        Args:
            places: one or more; of each the number of its document, and the token's in it.

        Raises:
            UserError: as `rows`.
        """
        self._check(documents)
        return self._rows_at(documents, places)

    @abstractmethod
    def _rows(self, documents: Sequence[Sequence[int]]) -> list[np.ndarray]: ...

    def _rows_at(self, documents: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> np.ndarray:
        rows = self._rows(documents)
        return np.stack([rows[number][place] for number, place in places])

    def _check(self, documents: Sequence[Sequence[int]]) -> None:
        ids = set(chain.from_iterable(documents))
        smallest, largest = min(ids, default=0), max(ids, default=0)
        if smallest < 0 or largest >= self.config.vocab_size:
            raise UserError(
                f"token id {smallest if smallest < 0 else largest} is outside the vocabulary of {self.config.vocab_size}: is "
                "this the tokenizer the model was made with?"
            )


class Rectangles:
    """Batches of a light model, for `Engine`: as `Batches` are for torch's."""

    def __init__(self, model: Light) -> None:
        numbers = model.width if model.head == "fill-mask" else 1
        self.budget = max(1, min(_PLACES, _NUMBERS // numbers))
        self.rate = float("inf")
        """Tokens a second, of the last batch."""

    def run(
        self,
        read: Callable[[Any], Sequence[Result]],
        documents: Sequence[Sequence[int]],
        *,
        budget: int,
        number: int | None = None,
    ) -> list[Result]:
        """A batch's results; see `Batches.run`. Documents of unlike lengths run in rectangles of their own, so that little is padded."""
        start = time.perf_counter()
        results: dict[int, Result] = {}
        for members in _rectangles(documents, budget):
            results |= zip(members, read([documents[i] for i in members]), strict=True)
        self.rate = sum(map(len, documents)) / max(time.perf_counter() - start, 1e-9)
        return [results[i] for i in range(len(documents))]


def _rectangles(documents: Sequence[Sequence[int]], budget: int) -> Iterator[list[int]]:
    """Who is padded together: neighbours by length, as long as their rectangle has no more places than the budget and no more
    than a quarter of them is padding."""
    members: list[int] = []
    num_tokens = 0
    for i in sorted(range(len(documents)), key=lambda i: len(documents[i])):
        length = len(documents[i])
        places = (len(members) + 1) * length
        if members and (places > budget or places - num_tokens - length > places // _PADDING):
            yield members
            members, num_tokens = [], 0
        members.append(i)
        num_tokens += length
    if members:
        yield members
