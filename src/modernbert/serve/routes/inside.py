"""A look inside, for the playground and for the curious: who attends to whom, and what the server has.

Shapes:  t tokens   H heads
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.model.encoder import Encoder
from modernbert.serve.bodies import Body, ModelName
from modernbert.serve.errors import ApiError
from modernbert.serve.models import Models
from modernbert.serve.opening import Ability, Predictor, expect_weights
from modernbert.serve.turn import Turn
from modernbert.tasks.attention_maps import attention_maps

MOST_TOKENS = 256
"""Of a text to look into: an answer grows with their square."""


class Look(Body):
    """A text, and where to look."""

    inputs: str
    layer: Annotated[int, Field(ge=0, le=1000)] = 0
    head: Annotated[int | None, Field(ge=0, le=1000, description="Absent: the mean of all heads.")] = None
    model: ModelName = None


class SeenToken(BaseModel):
    """A token and its place in code points; a special one has none."""

    text: str
    start: int
    end: int
    is_special: bool


class LayerAbout(BaseModel):
    """Whom the tokens of a layer see: everybody, or so many to either side."""

    kind: Literal["global", "local"]
    reach: int | None


class Attention(BaseModel):
    """One layer's attention."""

    model: str
    tokens: list[SeenToken]
    layers: list[LayerAbout]
    layer: int
    num_heads: int
    shares: list[list[float]]
    """[t, t]: from which token, to which token; each row adds up to 1, but for rounding."""


class ModelAbout(BaseModel):
    """One model."""

    name: str
    abilities: list[Ability]
    longest: int
    width: int | None
    num_parameters: int | None
    dtype: str


class ServerAbout(BaseModel):
    """What a page has to know."""

    models: list[ModelAbout]
    max_client_batch_size: int
    mask: str | None
    """How the first model that fills masks spells them."""


def router(models: Models) -> APIRouter:
    """`/inside/server` and `/inside/attention`."""
    routes = APIRouter(prefix="/inside", tags=["inside"])
    turn = Turn()  # maps are made past the desk

    @routes.get("/server")
    async def server() -> ServerAbout:
        """The models and what each can do."""
        fillers = models.can("fill-mask")
        tokenizer = models.find(fillers[0], "fill-mask").tokenizer if fillers else None
        abouts = [models.about(name) for name in models.names()]
        return ServerAbout(
            models=[
                ModelAbout(
                    name=each.name,
                    abilities=list(each.abilities),
                    longest=each.longest,
                    width=each.width,
                    num_parameters=each.num_parameters,
                    dtype=each.dtype,
                )
                for each in abouts
            ],
            max_client_batch_size=models.settings.max_client_batch_size,
            mask=tokenizer.token(tokenizer.mask_id) if tokenizer else None,
        )

    @routes.post("/attention")
    async def attention(body: Look, request: Request) -> Attention:
        """The share of attention that every token gives to every other, in a layer."""
        about = models.about(models.names()[0] if body.model is None else body.model)
        predictor = models.find(about.name, about.abilities[0])  # type: ignore[call-overload]
        expect_weights(predictor, "a look inside")

        def work() -> Attention:
            with turn.taken():
                return _look(predictor, body, about.name)

        return await models.call(request, work)

    return routes


def _look(predictor: Predictor, body: Look, name: str) -> Attention:
    encoder, tokenizer = _encoder(predictor), predictor.tokenizer
    kinds, reach = encoder.config.layer_kinds, encoder.config.window_reach
    num_heads = encoder.config.num_attention_heads
    for param, found, number in (("layer", body.layer, len(kinds)), ("head", body.head or 0, num_heads)):
        if found >= number:
            raise ApiError(422, f"{param}: found {found}, expected 0 to {number - 1}", param=param)
    encoded = tokenizer.encode([body.inputs], offsets=True)
    ids, spans = encoded.ids[0], encoded.offsets[0]
    if len(ids) > MOST_TOKENS:
        raise ApiError(
            413, f"inputs: found {len(ids):,} tokens, expected {MOST_TOKENS} or fewer: look at a part", param="inputs"
        )
    shares_Htt = attention_maps(encoder, ids)[body.layer]
    shares_tt = shares_Htt.mean(0) if body.head is None else shares_Htt[body.head]
    return Attention(
        model=name,
        tokens=[
            SeenToken(
                text=tokenizer.token(token_id) if token_id in tokenizer.special_ids else body.inputs[start:end],
                start=start,
                end=end,
                is_special=token_id in tokenizer.special_ids,
            )
            for token_id, (start, end) in zip(ids, spans, strict=True)
        ],
        layers=[
            LayerAbout(kind="global", reach=None) if kind == "full_attention" else LayerAbout(kind="local", reach=reach)
            for kind in kinds
        ],
        layer=body.layer,
        num_heads=num_heads,
        shares=shares_tt.double().round(decimals=4).tolist(),
    )


def _encoder(predictor: Predictor) -> Encoder:
    """Below whatever head it has."""
    found = getattr(predictor, "encoder", None) or getattr(predictor, "model").model  # noqa: B009
    assert isinstance(found, Encoder)
    return found
