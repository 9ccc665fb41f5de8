"""Where in a text a question is answered, or that the text does not say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from modernbert.core.errors import UserError
from modernbert.infer.engine import Engine, Room, longest_text
from modernbert.model.heads import QuestionAnswerer
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import Dtype
from modernbert.ops.packed import Packed
from modernbert.tasks.fitting import load_as
from modernbert.tasks.passages import Passage, best_answers, passages
from modernbert.tasks.pieces import in_pieces
from modernbert.tasks.prediction import Prediction
from modernbert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer."""

    text: str
    """Empty: the text does not say."""
    start: int
    """In characters: `context[start:end]`."""
    end: int
    score: float
    """Share among all answers that were considered, "the text does not say" included."""


class Answerer:
    """A question-answering model and its tokenizer; texts longer than it takes are read in parts that overlap."""

    def __init__(self, model: QuestionAnswerer, tokenizer: Tokenizer, prediction: Prediction) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.prediction = prediction
        longest = min(longest_text(model.config, tokenizer), prediction.max_length or 2**31)
        self.engine = Engine(model, tokenizer, Room(longest=longest))

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dtype: Dtype = "auto", device: str = "cpu") -> Self:
        """From a folder or a Hub id of a question-answering model.

        Raises:
            CheckpointError: it is none.
        """
        folder = folder_of(source, head="answers")
        model = load_as(folder, QuestionAnswerer, dtype=dtype, device=device)
        return cls(model, Tokenizer.load(tokenizer_folder(folder)), Prediction.load(folder))

    def predict(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        top_k: int = 1,
        must_answer: bool = False,
        show_progress: bool = False,
    ) -> list[list[Answer]]:
        """For each question and text, the likeliest answers, best first.

        Args:
            must_answer: leave out that the text does not say, as is right for models trained where it always does.
        """
        return list(self.stream(pairs, top_k=top_k, must_answer=must_answer, show_progress=show_progress))

    def stream(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        top_k: int = 1,
        must_answer: bool = False,
        show_progress: bool = False,
    ) -> Iterator[list[Answer]]:
        """The same, each as soon as it is known."""
        if top_k < 1:
            raise UserError(f"top_k: found {top_k}, expected 1 or more")
        for (context, parts), logits in in_pieces(
            self.engine, pairs, self._cut, self.logits, show_progress=show_progress
        ):
            found = best_answers(parts, [each[0] for each in logits], [each[1] for each in logits], top_k=top_k + 1)
            kept = [each for each in found if not must_answer or each.start < each.end][:top_k]
            yield [
                Answer(text=context[each.start : each.end], start=each.start, end=each.end, score=each.probability)
                for each in kept
            ]

    def logits(self, packed: Packed) -> list[np.ndarray]:
        """For each document start and end logits, [2, t]."""
        logits_T2 = self.model(packed).detach().float().cpu().numpy()
        return [each.T for each in np.split(logits_T2, np.cumsum(packed.lengths)[:-1])]

    def _cut(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, list[Passage]], list[list[int]]]]:
        longest, stride = self.engine.room.longest, self.prediction.doc_stride
        for question, context in pairs:
            parts = passages(self.tokenizer, question, context, longest=longest, stride=stride)
            yield (context, parts), [part.ids for part in parts]
