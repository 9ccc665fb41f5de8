"""Documents in the order of their scores, as every `rank` of ours answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from modernbert.core.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One document of a ranking."""

    corpus_id: int
    """Its place among the documents that were given."""
    score: float
    text: str | None = None
    """The document, where it was asked for."""


def ranking(
    scores: Sequence[float], documents: Sequence[str], *, top_k: int | None, return_documents: bool
) -> list[Ranked]:
    """Best first; equal ones in the order given.

    Raises:
        UserError: less than one is asked for.
    """
    if top_k is not None and top_k < 1:
        raise UserError(f"top_k: found {top_k}, expected 1 or more, or none for all")
    order = sorted(range(len(scores)), key=lambda number: -scores[number])[:top_k]
    return [
        Ranked(corpus_id=number, score=float(scores[number]), text=documents[number] if return_documents else None)
        for number in order
    ]
