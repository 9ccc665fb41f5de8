"""Which of several continuations fits a beginning best."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modernbert.core.errors import UserError
from modernbert.tasks.pieces import in_pieces
from modernbert.tasks.predictor import Predictor

if TYPE_CHECKING:
    from modernbert.model.heads import MultipleChoice  # noqa: F401 (named in a string below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The choice, and how likely each was."""

    choice: int
    scores: tuple[float, ...]
    """In the order of the choices; they add up to 1."""


class Chooser(Predictor["MultipleChoice"]):
    """A multiple-choice model and its tokenizer; what is too long is cut, the longer text first."""

    ARCHITECTURE = "ModernBertForMultipleChoice"
    EXPORTED = "multiple-choice"

    def predict(self, questions: Iterable[tuple[str, Sequence[str]]], *, show_progress: bool = False) -> list[Chosen]:
        """For each beginning with its choices, the best."""
        return list(self.stream(questions, show_progress=show_progress))

    def stream(
        self, questions: Iterable[tuple[str, Sequence[str]]], *, show_progress: bool = False
    ) -> Iterator[Chosen]:
        """The same, each as soon as it is known."""
        for _, logits in in_pieces(self.engine, questions, self._cut, self.logits, show_progress=show_progress):
            shares = self.prediction.shares(np.concatenate(logits))
            yield Chosen(choice=int(shares.argmax()), scores=tuple(shares.tolist()))

    def _cut(self, questions: Sequence[tuple[str, Sequence[str]]]) -> Iterator[tuple[None, list[list[int]]]]:
        for text, choices in questions:
            if isinstance(choices, str) or len(choices) < 2:
                raise UserError(f"found the choices {choices!r:.60}, expected two texts or more for {text!r:.40}")
            yield None, self.tokenizer.encode([text] * len(choices), choices, longest=self.longest).ids
