"""A tag for every word, and the entities that BIO tags spell, with their places in characters.

Shapes:  t tokens of one document   C labels
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modernbert.tasks.entities import is_bio, runs
from modernbert.tasks.pieces import in_pieces
from modernbert.tasks.prediction import Prediction
from modernbert.tasks.predictor import Predictor
from modernbert.tasks.words import Tokens, Words, joined, split, tokens_of
from modernbert.text.clean import checked
from modernbert.text.tokenizer import Span, Tokenizer

if TYPE_CHECKING:
    from modernbert.model.heads import TokenClassifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Words that belong together."""

    label: str
    text: str
    start: int
    """In characters: `text[start:end]`."""
    end: int
    score: float
    """Mean probability of its words' tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """What was found in one text."""

    text: str
    """As given; of a list of words, the words with a space between them."""
    words: tuple[str, ...]
    spans: tuple[Span, ...]
    """Where each word stands, in characters."""
    tags: tuple[str, ...]
    """One a word."""
    scores: tuple[float, ...]
    """Probability of each tag."""
    entities: tuple[Entity, ...]
    """Where tags are BIO; else none."""


class Tagger(Predictor["TokenClassifier"]):
    """A token classifier and its tokenizer. A word's tag is that of its first token.

    A text longer than the model takes is read in pieces, cut between words.
    """

    ARCHITECTURE = "ModernBertForTokenClassification"
    EXPORTED = "token-classification"
    HEAD = "entities"

    def __init__(self, model: "TokenClassifier", tokenizer: Tokenizer, prediction: Prediction) -> None:
        super().__init__(model, tokenizer, prediction)
        self.is_bio = is_bio(model.config.labels)
        """Whether the tags spell entities."""

    def predict(self, texts: Iterable[str | Sequence[str]], *, show_progress: bool = False) -> list[Tagged]:
        """One result a text, in order. A text is a string, or its words."""
        return list(self.stream(texts, show_progress=show_progress))

    def stream(self, texts: Iterable[str | Sequence[str]], *, show_progress: bool = False) -> Iterator[Tagged]:
        """The same, each as soon as it is known."""
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts: found one string, write predict([text])")
        for (words, parts), logits in in_pieces(self.engine, texts, self.cut, self.logits, show_progress=show_progress):
            yield self.read(words, parts, logits)

    def cut(self, texts: Sequence[str | Sequence[str]]) -> Iterator[tuple[tuple[Words, list[Tokens]], list[list[int]]]]:
        """Words and parts of each text, and the ids of its parts."""
        rows = [split(text) if isinstance(text, str) else joined(list(checked(text))) for text in texts]
        list(checked(row.text for row in rows))
        for words, parts in zip(rows, tokens_of(self.tokenizer, rows, longest=self.longest), strict=True):
            yield (words, parts), [part.ids for part in parts]

    def read(self, words: Words, parts: Sequence[Tokens], logits: Sequence[np.ndarray]) -> Tagged:
        """A text's tags from the logits [t, C] of its parts. Words of parts that are left out have none ("O")."""
        labels = self.model.config.labels
        outside = labels.index("O") if "O" in labels else 0
        tags, scores = [labels[outside]] * len(words.spans), [0.0] * len(words.spans)
        for part, logits_tC in zip(parts, logits, strict=True):
            shares_tC = self.prediction.shares(logits_tC)
            for number, head in enumerate(part.heads, start=part.first_word):
                if head is not None:
                    best = int(shares_tC[head].argmax())
                    tags[number], scores[number] = labels[best], float(shares_tC[head, best])
        return Tagged(
            text=words.text,
            words=tuple(words.text[a:b] for a, b in words.spans),
            spans=words.spans,
            tags=tuple(tags),
            scores=tuple(scores),
            entities=tuple(self._entities(words, tags, scores)) if self.is_bio else (),
        )

    @staticmethod
    def _entities(words: Words, tags: Sequence[str], scores: Sequence[float]) -> Iterator[Entity]:
        for run in runs(tags):
            start, end = words.spans[run.first][0], words.spans[run.end - 1][1]
            yield Entity(
                label=run.kind,
                text=words.text[start:end],
                start=start,
                end=end,
                score=float(np.mean(scores[run.first : run.end])),
            )
