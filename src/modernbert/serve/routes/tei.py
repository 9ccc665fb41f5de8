"""What clients of text-embeddings-inference call to embed: `/embed`, `/embed_all`, and `/` for those that know no route."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from modernbert.retrieval.embedder import Embedder
from modernbert.serve.bodies import Body, Direction, ModelName, TextOrTexts, check_number, listed, too_long
from modernbert.serve.models import Models
from modernbert.serve.opening import expect_weights
from modernbert.serve.vectors import Inputs, Wish, checked

MOST_NUMBERS = 8_000_000
"""Of an answer with a vector a token: some 80 MB of JSON."""


class EmbedBody(Body):
    """Texts, or token ids, to embed."""

    inputs: Inputs
    truncate: bool | None = None
    truncation_direction: Direction = "Right"
    normalize: bool = True
    prompt_name: Annotated[str | None, Field(max_length=300)] = None
    dimensions: Annotated[int | None, Field(ge=1, le=100_000)] = None
    model: ModelName = None


class EmbedAllBody(Body):
    """Texts whose tokens are embedded."""

    inputs: TextOrTexts
    truncate: bool | None = None
    truncation_direction: Direction = "Right"
    prompt_name: Annotated[str | None, Field(max_length=300)] = None
    model: ModelName = None


def router(models: Models) -> APIRouter:
    """`/embed`, `/embed_all`, `POST /`."""
    routes = APIRouter(tags=["embed"])

    @routes.post("/", response_model=list[list[float]], include_in_schema=False)
    @routes.post("/embed", response_model=list[list[float]])
    async def embed(body: EmbedBody, request: Request) -> Response:
        """One vector an input."""
        wish = Wish(
            inputs=body.inputs, dimensions=body.dimensions, prompt_name=body.prompt_name, normalize=body.normalize
        )
        check_number(wish.rows, models.settings, "inputs")
        embedder = models.find(body.model, "embed")
        answer = await models.call(
            request, lambda: _dumps(wish.vectors(embedder, models.settings)), too_long=too_long(body.truncate)
        )
        return Response(answer, media_type="application/json")

    @routes.post("/embed_all", response_model=list[list[list[float]]])
    async def embed_all(body: EmbedAllBody, request: Request) -> Response:
        """One vector a token of each text, special ones included, before any pooling."""
        texts = listed(body.inputs, models.settings, "inputs")
        embedder = models.find(body.model, "embed")
        expect_weights(embedder, "a vector a token")
        answer = await models.call(
            request, lambda: _all(embedder, texts, body.prompt_name), too_long=too_long(body.truncate)
        )
        return Response(answer, media_type="application/json")

    return routes


def _all(embedder: Embedder, texts: list[str], prompt_name: str | None) -> bytes:
    most = MOST_NUMBERS // embedder.encoder.config.hidden_size
    rows = embedder.encode_tokens(texts, prompt_name=prompt_name, most_tokens=most)
    return _dumps([checked(rows_TD) for rows_TD in rows])


def _dumps(vectors: object) -> bytes:
    return orjson.dumps(vectors, option=orjson.OPT_SERIALIZE_NUMPY)
