"""`/search`: what answers a question in an index that the server was started with."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.retrieval.documents.snippets import snippet
from modernbert.retrieval.index.search import Mode
from modernbert.retrieval.searcher import Found
from modernbert.serve.bodies import Body
from modernbert.serve.indexes import Indexes, Served
from modernbert.serve.models import Models

WIDEST = 1000
"""Characters of a line that is shown; a page breaks lines by itself."""


class Search(Body):
    """A question."""

    query: Annotated[
        str, Field(max_length=10_000, description='Words, names of code, and "literals" that must be there.')
    ]
    index: Annotated[str | None, Field(max_length=300, description="Name of an index; absent: the first.")] = None
    top_k: Annotated[int, Field(ge=1, le=100)] = 10
    mode: Annotated[Mode, Field(description="Compare vectors, or words, or both.")] = "hybrid"
    where: list[Annotated[str, Field(max_length=1000)]] = Field(
        default_factory=list,
        max_length=20,
        description="Filters that all have to hold, such as path=src/* or year>=2020.",
    )


class Line(BaseModel):
    """One line to show."""

    number: int
    text: str
    spans: list[tuple[int, int]]
    """What to mark, in code points."""


class Result(BaseModel):
    """One passage."""

    id: str
    path: str
    """Within what was indexed."""
    first_line: int
    last_line: int
    kind: str
    symbol: str
    header: str
    text: str
    score: float
    legs: dict[str, float]
    """What each way of searching said."""
    lines: list[Line]
    """Those with the most evidence."""


class Results(BaseModel):
    """Passages, best first."""

    index: str
    results: list[Result]


class IndexAbout(BaseModel):
    """One index."""

    name: str
    num_passages: int
    is_code: bool


def router(models: Models) -> APIRouter:
    """`/search` and `/indexes`."""
    routes = APIRouter(tags=["search"])
    indexes = Indexes.open(models.settings.index, models.desk)

    @routes.get("/indexes")
    async def about_indexes() -> list[IndexAbout]:
        """The indexes that can be searched."""
        return [
            IndexAbout(name=each.name, num_passages=len(each.searcher), is_code=each.searcher.choices.code)
            for each in indexes.all()
        ]

    @routes.post("/search")
    async def search(body: Search, request: Request) -> Results:
        """The passages of an index that answer a question, best first."""
        served = indexes.find(body.index)
        found = await models.call(
            request, lambda: served.search(body.query, top_k=body.top_k, where=body.where, mode=body.mode)
        )
        return Results(index=served.name, results=[_result(served, each) for each in found])

    return routes


def _result(served: Served, found: Found) -> Result:
    return Result(
        id=found.id,
        path=served.place(found.path),
        first_line=found.first_line,
        last_line=found.last_line,
        kind=found.kind,
        symbol=found.symbol,
        header=found.header,
        text=found.text,
        score=found.score,
        legs=dict(found.legs),
        lines=[
            Line(number=line.number, text=line.text, spans=list(line.spans))
            for line in snippet(found.text, found.first_line, found.spans, width=WIDEST).lines
        ],
    )
