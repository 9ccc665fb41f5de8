"""Which of several continuations fits a beginning best."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from modernbert.core.errors import UserError
from modernbert.infer.engine import Engine, Room, longest_text
from modernbert.model.heads import MultipleChoice
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import Dtype
from modernbert.ops.packed import Packed
from modernbert.tasks.fitting import load_as
from modernbert.tasks.pieces import in_pieces
from modernbert.tasks.prediction import Prediction
from modernbert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The choice, and how likely each was."""

    choice: int
    scores: tuple[float, ...]
    """In the order of the choices; they add up to 1."""


class Chooser:
    """A multiple-choice model and its tokenizer; what is too long is cut, the longer text first."""

    def __init__(self, model: MultipleChoice, tokenizer: Tokenizer, prediction: Prediction) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.prediction = prediction
        longest = min(longest_text(model.config, tokenizer), prediction.max_length or 2**31)
        self.engine = Engine(model, tokenizer, Room(longest=longest))

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dtype: Dtype = "auto", device: str = "cpu") -> Self:
        """From a folder or a Hub id of a multiple-choice model.

        Raises:
            CheckpointError: it is none.
        """
        folder = folder_of(source)
        model = load_as(folder, MultipleChoice, dtype=dtype, device=device)
        return cls(model, Tokenizer.load(tokenizer_folder(folder)), Prediction.load(folder))

    def predict(self, questions: Iterable[tuple[str, Sequence[str]]], *, show_progress: bool = False) -> list[Chosen]:
        """For each beginning with its choices, the best."""
        return list(self.stream(questions, show_progress=show_progress))

    def stream(
        self, questions: Iterable[tuple[str, Sequence[str]]], *, show_progress: bool = False
    ) -> Iterator[Chosen]:
        """The same, each as soon as it is known."""
        for _, logits in in_pieces(self.engine, questions, self._cut, self._read, show_progress=show_progress):
            exact = np.array(logits, dtype=np.float64) / self.prediction.temperature
            weights = np.exp(exact - exact.max())
            yield Chosen(choice=int(exact.argmax()), scores=tuple((weights / weights.sum()).tolist()))

    def _read(self, packed: Packed) -> list[float]:
        return self.model(packed)[:, 0].float().tolist()

    def _cut(self, questions: Sequence[tuple[str, Sequence[str]]]) -> Iterator[tuple[None, list[list[int]]]]:
        for text, choices in questions:
            if isinstance(choices, str) or len(choices) < 2:
                raise UserError(f"found the choices {choices!r:.60}, expected two texts or more for {text!r:.40}")
            yield None, self.tokenizer.encode([text] * len(choices), choices, longest=self.engine.room.longest).ids
