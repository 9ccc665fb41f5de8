"""What OpenAI's clients call: `/v1/embeddings` and `/v1/models`."""

import time
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from modernbert.infer.ticket import current
from modernbert.retrieval.embedder import Embedder
from modernbert.serve.bodies import ForeignBody, ModelName, check_number
from modernbert.serve.models import Models
from modernbert.serve.vectors import Inputs, Wish, as_base64


class EmbeddingsBody(ForeignBody):
    """As OpenAI's; `user` and other keys are passed over."""

    input: Inputs
    model: ModelName = None
    dimensions: Annotated[int | None, Field(ge=1, le=100_000)] = None
    encoding_format: Literal["float", "base64"] = "float"
    prompt_name: Annotated[str | None, Field(max_length=300)] = None
    """One of the model's own prompts, such as query; not in OpenAI's API."""


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens that ran, special ones and prompts included."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """One vector an input, in order, of length 1."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class ModelCard(BaseModel):
    """One model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "modernbert"


class ModelCards(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def router(models: Models) -> APIRouter:
    """`/v1/embeddings`, `/v1/models`, `/v1/models/{name}`."""
    routes = APIRouter(prefix="/v1", tags=["openai"])
    started = int(time.time())

    @routes.post("/embeddings", response_model=Embeddings)
    async def embeddings(body: EmbeddingsBody, request: Request) -> Response:
        """One vector an input."""
        wish = Wish(inputs=body.input, dimensions=body.dimensions, prompt_name=body.prompt_name)
        check_number(wish.rows, models.settings, "input")
        embedder = models.find(body.model, "embed")
        name = body.model or models.can("embed")[0]
        answer = await models.call(request, lambda: _answer(wish, embedder, models, name, body.encoding_format))
        return Response(answer, media_type="application/json")

    @routes.get("/models")
    async def cards() -> ModelCards:
        """What is here."""
        return ModelCards(data=[ModelCard(id=name, created=started) for name in models.names()])

    @routes.get("/models/{name:path}")
    async def card(name: str) -> ModelCard:
        """One of them."""
        return ModelCard(id=models.about(name).name, created=started)

    return routes


def _answer(wish: Wish, embedder: Embedder, models: Models, name: str, encoding: str) -> bytes:
    vectors_ND = wish.vectors(embedder, models.settings)
    ticket = current()
    num_tokens = ticket.num_tokens if ticket else 0
    rows = as_base64(list(vectors_ND)) if encoding == "base64" else list(vectors_ND)
    return orjson.dumps(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
            "model": name,
            "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
