"""Documents by number, and the pieces they are read in: any piece is found at once, without those before it.

Shapes:  N documents   P pieces asked for
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Int

from modernbert.core.errors import ConfigError
from modernbert.data.chunking import cut, num_pieces
from modernbert.data.vocabulary import Vocabulary


class Documents(Protocol):
    """Where tokens come from: `modernbert.data.shards.Shards`, or `InMemory`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Whose ids these are."""
        ...

    @property
    def lengths(self) -> Int[np.ndarray, "N"]:
        """Tokens of each document, [CLS] and [SEP] not among them; int64."""
        ...

    def __len__(self) -> int:
        """How many documents."""
        ...

    def tokens(self, document: int, start: int = 0, end: int | None = None) -> Int[np.ndarray, "T"]:
        """The ids of a document, or from `start` to before `end` of them."""
        ...


class InMemory:
    """Documents that are there already: small corpora, and tests."""

    def __init__(self, documents: Sequence[Sequence[int]], vocabulary: Vocabulary) -> None:
        """Take lists of ids without [CLS] and [SEP].

        Raises:
            ValueError: a document is empty.
        """
        self.vocabulary = vocabulary
        self.lengths = np.array([len(document) for document in documents], dtype=np.int64)
        if not self.lengths.all():
            raise ValueError(f"document {int(self.lengths.argmin())} is empty: leave it out")
        self._documents = [np.array(document, dtype=np.int64) for document in documents]

    def __len__(self) -> int:
        return len(self._documents)

    def tokens(self, document: int, start: int = 0, end: int | None = None) -> np.ndarray:
        """A view of a document's ids, or of a part of them."""
        return self._documents[document][start:end]


class Pieces:
    """The pieces of documents, numbered from 0 in order. Takes 8 bytes a document where any is left out, and 8 where any is cut."""

    def __init__(
        self, documents: Documents, *, length: int, at_least: int = 0, at_most: int | None = None, name: str = "text"
    ) -> None:
        """Cut all documents to `length`, special tokens included, those outside `at_least` to `at_most` left out.

        Raises:
            ConfigError: no document is left; `name` is what the message calls them.
        """
        self._lengths, self._room = documents.lengths, length
        is_chosen = self._lengths >= at_least
        if at_most is not None:
            is_chosen &= self._lengths <= at_most
        if not is_chosen.any():
            raise ConfigError(_none_left(name, self._lengths, at_least, at_most))
        self._chosen = None if is_chosen.all() else np.flatnonzero(is_chosen)
        lengths = self._lengths if self._chosen is None else self._lengths[self._chosen]
        counts = num_pieces(lengths, length)
        self._ends = None if counts.max() == 1 else np.cumsum(counts)
        self._num = int(counts.sum())
        self.num_tokens = int(lengths.sum()) + 2 * self._num
        """Of all pieces, [CLS] and [SEP] included."""

    def __len__(self) -> int:
        return self._num

    def find(
        self, numbers: Int[np.ndarray, "P"]
    ) -> tuple[Int[np.ndarray, "P"], Int[np.ndarray, "P"], Int[np.ndarray, "P"]]:
        """For each number the document, and where in it the piece starts and ends."""
        if self._ends is None:
            places, within = numbers, np.zeros_like(numbers)
        else:
            places = np.searchsorted(self._ends, numbers, side="right")
            within = numbers - np.where(places > 0, self._ends[places - 1], 0)
        documents = places if self._chosen is None else self._chosen[places]
        return documents, *cut(self._lengths[documents], within, self._room)

    def of(self, documents: Int[np.ndarray, "D"]) -> Int[np.ndarray, "P"]:
        """The numbers of all pieces of these documents, one document after the other; none may have been left out."""
        counts = num_pieces(self._lengths[documents], self._room)
        firsts = documents if self._ends is None else np.where(documents > 0, self._ends[documents - 1], 0)
        return np.repeat(firsts, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _none_left(name: str, lengths: np.ndarray, at_least: int, at_most: int | None) -> str:
    if not len(lengths):
        return f"{name} has no documents: expected one or more"
    upper = "any" if at_most is None else f"{at_most:,}"
    return (
        f"{name}: none of {len(lengths):,} documents has {at_least:,} to {upper} tokens, they have {int(lengths.min()):,}"
        f" to {int(lengths.max()):,}: change at_least or at_most, or leave the source out"
    )
