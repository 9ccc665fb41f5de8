"""Documents in the order of how well they answer: TEI's `/rerank`, and the shape of Cohere and Jina at `/v1/rerank`, `/v2/rerank`.

Sources: TEI 1.9's OpenAPI description; Cohere's of its v1 and v2; Jina's, which is Cohere's v1 with `usage`.
"""

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from torch import nn

from modernbert.retrieval.ranked import ranking
from modernbert.retrieval.reranker import Reranker
from modernbert.serve.bodies import Direction, ForeignBody, ModelName, check_number, too_long
from modernbert.serve.models import Models


class TeiRerank(ForeignBody):
    """TEI's request; `model` is ours."""

    query: str
    texts: list[str]
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    raw_scores: bool = False
    return_text: bool = False
    model: ModelName = None


class Rank(BaseModel):
    """TEI's result."""

    index: int
    text: str | None = None
    score: float


class TextDocument(ForeignBody):
    """A document as Cohere's and Jina's clients may send it; only its text is read."""

    text: str


class Rerank(ForeignBody):
    """Cohere's and Jina's request."""

    query: str
    documents: list[str | TextDocument]
    model: ModelName = None
    top_n: Annotated[int | None, Field(ge=1)] = None
    return_documents: Annotated[bool, Field(description="v1 only: v2 never gives them back.")] = False
    max_tokens_per_doc: Annotated[int | None, Field(ge=1, description="Tokens of a document that are read.")] = None


class Given(BaseModel):
    """A document that comes back."""

    text: str


class Reranked(BaseModel):
    """One document of Cohere's and Jina's answer."""

    index: int
    relevance_score: float
    document: Given | None = None


class Version(BaseModel):
    """Of Cohere's API."""

    version: str


class Meta(BaseModel):
    """What Cohere says beside its results."""

    api_version: Version


class Usage(BaseModel):
    """Jina's and OpenAI's word for how many tokens were read."""

    prompt_tokens: int
    total_tokens: int


class Reranking(BaseModel):
    """Cohere's and Jina's answer in one."""

    id: str
    model: str
    results: list[Reranked]
    meta: Meta
    usage: Usage


def router(models: Models) -> APIRouter:
    """`/rerank`, `/v1/rerank`, `/v2/rerank`."""
    routes = APIRouter(tags=["rerank"])

    @routes.post("/rerank", response_model_exclude_none=True)
    async def rerank(body: TeiRerank, request: Request) -> list[Rank]:
        """Texts by their score for a query, best first; as text-embeddings-inference answers it."""
        check_number(body.texts, models.settings, "texts")
        reranker = models.find(body.model, "rerank")
        scores = await models.call(
            request,
            lambda: _scores(reranker, body.query, body.texts, raw=body.raw_scores),
            too_long=too_long(body.truncate),
        )
        ranked = ranking(scores, body.texts, top_k=None, return_documents=body.return_text)
        return [Rank(index=each.corpus_id, text=each.text, score=each.score) for each in ranked]

    @routes.post("/v1/rerank", response_model_exclude_none=True)
    async def rerank_v1(body: Rerank, request: Request) -> Reranking:
        """Documents by their score for a query, best first; as Cohere's v1 and Jina answer it."""
        return await _rerank(models, body, request, version="1", return_documents=body.return_documents)

    @routes.post("/v2/rerank", response_model_exclude_none=True)
    async def rerank_v2(body: Rerank, request: Request) -> Reranking:
        """The same as Cohere's v2 answers it, which gives no document back."""
        return await _rerank(models, body, request, version="2", return_documents=False)

    return routes


async def _rerank(models: Models, body: Rerank, request: Request, *, version: str, return_documents: bool) -> Reranking:
    check_number(body.documents, models.settings, "documents")
    reranker = models.find(body.model, "rerank")
    texts = [each if isinstance(each, str) else each.text for each in body.documents]

    def work() -> list[float]:
        read = texts if body.max_tokens_per_doc is None else _cut(reranker, texts, body.max_tokens_per_doc)
        return _scores(reranker, body.query, read, raw=False)

    scores = await models.call(request, work, too_long="truncate")  # as their services do, without being told
    num_tokens = request.state.ticket.num_tokens
    return Reranking(
        id=str(uuid4()),
        model=body.model or models.can("rerank")[0],
        results=[
            Reranked(
                index=each.corpus_id,
                relevance_score=each.score,
                document=None if each.text is None else Given(text=each.text),
            )
            for each in ranking(scores, texts, top_k=body.top_n, return_documents=return_documents)
        ],
        meta=Meta(api_version=Version(version=version)),
        usage=Usage(prompt_tokens=num_tokens, total_tokens=num_tokens),
    )


def _scores(reranker: Reranker, query: str, texts: list[str], *, raw: bool) -> list[float]:
    pairs = [(query, text) for text in texts]
    return reranker.predict(pairs, activation_fn=nn.Identity() if raw else None).tolist()


def _cut(reranker: Reranker, texts: list[str], most: int) -> list[str]:
    """Each text up to its token of this number."""
    spans = reranker.tokenizer.encode(texts, special=False, offsets=True).offsets
    return [text[: own[most - 1][1]] if len(own) > most else text for text, own in zip(texts, spans, strict=True)]
