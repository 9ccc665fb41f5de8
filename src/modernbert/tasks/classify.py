"""Which label a text, or a pair of texts, has; or which number, for a model that was trained on numbers.

Shapes:  N documents   C labels
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modernbert.core.errors import UserError
from modernbert.tasks.pieces import in_pieces
from modernbert.tasks.prediction import softmax
from modernbert.tasks.predictor import Predictor
from modernbert.text.clean import checked

if TYPE_CHECKING:
    from modernbert.model.heads import SequenceClassifier  # noqa: F401 (named in a string below)

Text = str | tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """What was found of one text."""

    label: str
    """The likeliest; of a regression, its name."""
    score: float
    """Its probability; of a regression, the number itself."""
    scores: dict[str, float]
    """Of every label, likeliest first. They add up to 1, but where a text may have several labels."""
    labels: tuple[str, ...]
    """Those more likely than not, where a text may have several; else the one."""
    num_pieces: int
    """In how many the text was read: one, unless it is longer than the model takes."""


class TextClassifier(Predictor["SequenceClassifier"]):
    """A sequence classifier and its tokenizer.

    A text longer than the model takes is read in pieces, and their logits are averaged by length; of a pair, the longer text
    is cut instead.
    """

    ARCHITECTURE = "ModernBertForSequenceClassification"
    EXPORTED = "text-classification"
    HEAD = "sentiment"

    def predict(self, texts: Iterable[Text], *, raw: bool = False, show_progress: bool = False) -> list[Classified]:
        """One result a text, in order.

        Args:
            raw: scores are logits, before the temperature.
        """
        return list(self.stream(texts, raw=raw, show_progress=show_progress))

    def stream(self, texts: Iterable[Text], *, raw: bool = False, show_progress: bool = False) -> Iterator[Classified]:
        """The same, each as soon as it is known."""
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts: found one string, write predict([text])")
        for lengths, logits in in_pieces(self.engine, texts, self._cut, self.logits, show_progress=show_progress):
            logits_C = np.average(np.stack(logits), axis=0, weights=lengths)
            yield self._read(logits_C, len(lengths), raw=raw)

    def probabilities(self, logits_NC: np.ndarray) -> np.ndarray:
        """After the temperature, in float64; of a regression, the numbers themselves."""
        exact_NC = np.asarray(logits_NC, dtype=np.float64)
        if self.model.config.problem_type == "regression":
            return exact_NC
        if self.model.config.problem_type == "multi_label_classification":
            return 0.5 + 0.5 * np.tanh(0.5 * exact_NC / self.prediction.temperature)  # the sigmoid, without overflow
        return softmax(exact_NC / self.prediction.temperature)

    def _cut(self, texts: Sequence[Text]) -> Iterator[tuple[list[int], list[list[int]]]]:
        if texts and not isinstance(texts[0], str):
            if any(isinstance(text, str) or len(text) != 2 for text in texts):
                raise UserError("found texts and pairs mixed, expected one kind: give every text its pair, or none")
            encoded = self.tokenizer.encode([a for a, _ in texts], [b for _, b in texts], longest=self.longest)
            yield from (([len(ids)], [ids]) for ids in encoded.ids)
            return
        encoded = self.tokenizer.encode(checked(texts), special=False)  # type: ignore[arg-type]
        room = self.longest - len(self.tokenizer.enclose([]))
        for ids in encoded.ids:
            num_pieces = max(1, -(-len(ids) // room))
            size = -(-len(ids) // num_pieces) or 1  # pieces of one size: a short rest would say little
            pieces = [ids[i : i + size] for i in range(0, max(1, len(ids)), size)]
            yield [max(1, len(piece)) for piece in pieces], [self.tokenizer.enclose(piece) for piece in pieces]

    def _read(self, logits_C: np.ndarray, num_pieces: int, *, raw: bool) -> Classified:
        names = self.model.config.labels
        found_C = self.probabilities(logits_C).tolist()
        told_C = logits_C.tolist() if raw else found_C
        order = sorted(range(len(names)), key=lambda i: -found_C[i])
        is_several = self.model.config.problem_type == "multi_label_classification"
        best = order[0]
        return Classified(
            label=names[best],
            score=told_C[best],
            scores={names[i]: told_C[i] for i in order},
            labels=tuple(names[i] for i in order if found_C[i] > 0.5) if is_several else (names[best],),
            num_pieces=num_pieces,
        )
