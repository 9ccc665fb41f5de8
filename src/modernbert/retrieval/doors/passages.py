"""What the retrievers of other libraries hand on: a text, and where it stands."""

from dataclasses import dataclass

from modernbert.core.errors import UserError
from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.context import Citation
from modernbert.retrieval.index.filter_text import Where
from modernbert.retrieval.searcher import Found, Searcher

_CANDIDATES = 20
"""Chunks for a budget, at least: small ones fill the room that large ones leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One text for a language model."""

    id: str
    text: str
    score: float | None
    """None where chunks were joined, and in nobody's order."""
    metadata: dict[str, Json]
    """`path`, `first_line`, `last_line`, `lines` ("12-40"), `citation` ("[1] path:12-40"), of a chunk also `score`, `kind`
    and `symbol`; and what the document says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a retriever asks."""

    top_k: int = 10
    where: Where = None
    budget: int | None = None
    """Of all texts with their citations, in the model's tokens. Neighbours are joined then, and no line comes twice."""

    def __post_init__(self) -> None:
        if self.top_k < 1 or (self.budget is not None and self.budget < 1):
            raise UserError(f"retriever: found top_k={self.top_k}, budget={self.budget}, expected 1 or more")

    def __call__(self, searcher: Searcher, query: str) -> list[Passage]:
        """The best passages, best first."""
        if self.budget is None:
            found = searcher.search(query, top_k=self.top_k, where=self.where)
            return [_of_chunk(one, number) for number, one in enumerate(found, start=1)]
        context = searcher.context(query, budget=self.budget, top_k=max(self.top_k, _CANDIDATES), where=self.where)
        return [
            Passage(id=f"{cited.document}:{_lines(cited)}", text=text, score=None, metadata=_place(cited))
            for cited, text in zip(context.citations, context.passages, strict=True)
        ]


def _of_chunk(found: Found, number: int) -> Passage:
    cited = Citation(
        number=number, document=found.id, path=found.path, first_line=found.first_line, last_line=found.last_line
    )
    ours: dict[str, Json] = {**_place(cited), "score": found.score, "kind": found.kind, "symbol": found.symbol}
    return Passage(id=found.id, text=found.text, score=found.score, metadata={**found.metadata, **ours})


def _place(cited: Citation) -> dict[str, Json]:
    return {
        "path": cited.path, "first_line": cited.first_line, "last_line": cited.last_line, "lines": _lines(cited),
        "citation": str(cited),
    }  # fmt: skip


def _lines(cited: Citation) -> str:
    return f"{cited.first_line}-{cited.last_line}"
