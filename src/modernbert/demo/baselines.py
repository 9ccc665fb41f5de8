"""What counting alone reaches at filling masks: numbers that a model must beat before anybody believes it learnt.

They see what the model sees, `mask`'s corrupted stream, and never the labels. A place that shows an ordinary token is
answered with that token: one predicted token in ten is shown as it is (`Masking`), a model soon learns to copy it, and
a baseline that did not would look worse for no reason of language.

Shapes:  T tokens in the stream   P pairs of neighbours
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from jaxtyping import Bool, Int

from modernbert.data.masking import IGNORE

NEVER = -1
"""In a table: no such neighbour in training."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unigram:
    """Fills every mask with the most frequent token."""

    mask_id: int
    token: int
    """That token; the smallest id of several."""

    @classmethod
    def fit(cls, documents: Sequence[Sequence[int]], *, special_ids: Collection[int], mask_id: int) -> Self:
        """Count the tokens of documents, with or without their special ones: those are never an answer.

        Raises:
            ValueError: there is no ordinary token.
        """
        stream_T, _ = _joined(documents)
        counts_V = np.bincount(stream_T)
        counts_V[[token for token in {*special_ids, mask_id} if token < counts_V.size]] = 0
        if not counts_V.any():
            raise ValueError("found no ordinary token in the documents, expected some to count")
        return cls(mask_id=mask_id, token=int(counts_V.argmax()))

    def predict(self, inputs: Int[np.ndarray, "T"]) -> Int[np.ndarray, "T"]:
        """The stream with every mask filled."""
        return np.where(inputs == self.mask_id, self.token, inputs)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bigram:
    """Fills a mask with the most likely token after the left neighbour, as the input shows that one.

    Where the left neighbour is a mask, or nothing ever followed it, the right neighbour decides; else the `Unigram`.
    """

    unigram: Unigram
    after: Int[np.ndarray, "entries"]
    """The most likely token after each token, or `NEVER`; the last entry is for larger ids, and for no neighbour."""
    before: Int[np.ndarray, "entries"]
    """The same, before each token."""

    @classmethod
    def fit(cls, documents: Sequence[Sequence[int]], *, special_ids: Collection[int], mask_id: int) -> Self:
        """Count pairs of neighbours inside documents; with special tokens, the first and last word are learnt too.

        Raises:
            ValueError: there is no ordinary token.
        """
        unigram = Unigram.fit(documents, special_ids=special_ids, mask_id=mask_id)
        stream_T, is_first_T = _joined(documents)
        inside_P = ~is_first_T[1:]
        left_P, right_P = stream_T[:-1][inside_P], stream_T[1:][inside_P]
        size = int(stream_T.max()) + 1
        special = np.array([*special_ids, mask_id], dtype=np.int64)
        after, before = _most_likely(left_P, right_P, size, special), _most_likely(right_P, left_P, size, special)
        if mask_id < size:
            after[mask_id] = before[mask_id] = NEVER  # a mask spelled out in a text is not a mask that hides a token
        return cls(unigram=unigram, after=after, before=before)

    def predict(self, inputs: Int[np.ndarray, "T"]) -> Int[np.ndarray, "T"]:
        """The stream with every mask filled; pieces in it are kept apart by their special tokens."""
        nowhere = self.after.size - 1
        known_T = np.minimum(np.concatenate([[nowhere], inputs, [nowhere]]), nowhere)
        by_left_T, by_right_T = self.after[known_T[:-2]], self.before[known_T[2:]]
        guess_T = np.where(by_left_T != NEVER, by_left_T, by_right_T)
        guess_T = np.where(guess_T != NEVER, guess_T, self.unigram.token)
        return np.where(inputs == self.unigram.mask_id, guess_T, inputs)


def accuracy(predicted: Int[np.ndarray, "T"], labels: Int[np.ndarray, "T"]) -> float:
    """Share of the labels, where there are any (not `IGNORE`), that were predicted.

    Raises:
        ValueError: the shapes differ, or there is nothing to predict.
    """
    if predicted.shape != labels.shape:
        raise ValueError(f"found {predicted.size} predictions for {labels.size} labels, expected one each")
    is_asked_T = labels != IGNORE
    if not is_asked_T.any():
        raise ValueError(f"no label is anything but {IGNORE}: there is nothing to be right about")
    return float((predicted == labels)[is_asked_T].mean())


def _joined(documents: Sequence[Sequence[int]]) -> tuple[Int[np.ndarray, "T"], Bool[np.ndarray, "T"]]:
    """One stream, and where in it a document begins."""
    lengths = np.array([len(document) for document in documents if len(document)], dtype=np.int64)
    stream_T = np.fromiter(chain.from_iterable(documents), dtype=np.int64, count=int(lengths.sum()))
    is_first_T = np.zeros(stream_T.size, dtype=bool)
    is_first_T[np.cumsum(lengths) - lengths] = True
    return stream_T, is_first_T


def _most_likely(
    given: Int[np.ndarray, "P"], token: Int[np.ndarray, "P"], size: int, special: Int[np.ndarray, "specials"]
) -> Int[np.ndarray, "entries"]:
    """For each given token the most frequent partner, the smallest id of several; sparse, as V x V would not fit."""
    is_answer_P = ~np.isin(token, special)
    pairs, counts = np.unique(given[is_answer_P] * size + token[is_answer_P], return_counts=True)
    given, token = np.divmod(pairs, size)
    rising = np.lexsort((-token, counts, given))
    given, token = given[rising], token[rising]
    is_best = np.diff(given, append=-1) != 0
    table = np.full(size + 1, NEVER)
    table[given[is_best]] = token[is_best]
    return table
