"""Questions about long texts: overlapping parts, and the best answer over all of them.

A question and a text that fit together are read together; a longer text is read in parts, each behind the question, that
share `stride` tokens so that no answer is cut at an edge. That a text does not say is the score of the first token ([CLS]) as
start and end, as SQuAD 2.0 models do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modernbert.core.errors import UserError
from modernbert.tasks.prediction import softmax
from modernbert.text.tokenizer import Span, Tokenizer

MOST_TOKENS = 30
"""Of an answer; longer ones are not considered, as in the stock question-answering scripts."""

_CANDIDATES = 20
"""Best starts and ends of a part that are combined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One part of a text behind its question."""

    ids: list[int]
    first: int
    """Place in `ids` of the part's first token."""
    spans: list[Span]
    """Where each token of the part stands in the whole text, in characters."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer in a text; `start == end` where the text does not say."""

    start: int
    end: int
    score: float
    """Sum of the two logits, less that of saying nothing."""
    probability: float
    """Among all answers considered, and saying nothing."""


def passages(tokenizer: Tokenizer, question: str, context: str, *, longest: int, stride: int) -> list[Passage]:
    """The parts of a text behind a question.

    Raises:
        UserError: the question leaves no room.
    """
    encoded = tokenizer.encode([question, context], special=False, offsets=True)
    asked, (told, spans) = encoded.ids[0], (encoded.ids[1], encoded.offsets[1])
    room = longest - len(tokenizer.enclose(asked, []))
    if room <= stride or room < 8:
        raise UserError(
            f"the question has {len(asked):,} tokens, of {longest:,} {room:,} are left for the text, expected more than the "
            f"{stride} that neighbouring parts share: ask a shorter question, or raise max_length"
        )
    first = len(tokenizer.enclose(asked, [])) - _behind(tokenizer)
    found = []
    for start in range(0, max(1, len(told) - stride), room - stride):
        part = slice(start, start + room)
        found.append(Passage(ids=tokenizer.enclose(asked, told[part]), first=first, spans=spans[part]))
    return found


def best_answers(
    parts: Sequence[Passage], starts: Sequence[np.ndarray], ends: Sequence[np.ndarray], *, top_k: int = 1
) -> list[Found]:
    """The likeliest different answers over all parts of a text, best first; that it does not say is one of them.

    Args:
        parts: of one text.
        starts: a logit each token of each part, special tokens and question included.
        ends: the same for the last token of an answer.
    """
    nothing = min(float(start[0] + end[0]) for start, end in zip(starts, ends, strict=True))
    scores: dict[Span, float] = {(0, 0): nothing}
    for part, start, end in zip(parts, starts, ends, strict=True):
        inside = slice(part.first, part.first + len(part.spans))
        start, end = np.asarray(start[inside], np.float64), np.asarray(end[inside], np.float64)
        lasts = np.argsort(-end)[:_CANDIDATES]
        for one in np.argsort(-start)[:_CANDIDATES]:
            for last in lasts[(lasts >= one) & (lasts < one + MOST_TOKENS)]:
                span = (part.spans[one][0], part.spans[last][1])
                if span[0] < span[1]:
                    scores[span] = max(scores.get(span, -np.inf), float(start[one] + end[last]))
    order = sorted(scores, key=lambda span: (-scores[span], span))
    shares = softmax(np.array([scores[span] for span in order]))
    return [
        Found(*span, scores[span] - nothing, float(share)) for span, share in zip(order[:top_k], shares, strict=False)
    ]


def _behind(tokenizer: Tokenizer) -> int:
    """Special tokens behind the second text."""
    whole = tokenizer.enclose([0], [1])
    return len(whole) - whole.index(1) - 1
