"""Where in a text a question is answered, or that the text does not say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modernbert.core.errors import UserError
from modernbert.tasks.passages import Passage, best_answers, passages
from modernbert.tasks.pieces import in_pieces
from modernbert.tasks.predictor import Predictor

if TYPE_CHECKING:
    from modernbert.model.heads import QuestionAnswerer  # noqa: F401 (named in a string below)


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


class Answerer(Predictor["QuestionAnswerer"]):
    """A question-answering model and its tokenizer; texts longer than it takes are read in parts that overlap."""

    ARCHITECTURE = "ModernBertForQuestionAnswering"
    EXPORTED = "question-answering"
    HEAD = "answers"

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

    def _cut(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, list[Passage]], list[list[int]]]]:
        longest, stride = self.longest, self.prediction.doc_stride
        for question, context in pairs:
            parts = passages(self.tokenizer, question, context, longest=longest, stride=stride)
            yield (context, parts), [part.ids for part in parts]
