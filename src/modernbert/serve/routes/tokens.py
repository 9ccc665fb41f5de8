"""TEI's `/tokenize` and `/decode`: what a model's tokenizer makes of texts, and back.

Source: TEI 1.9's OpenAPI description. Where a token stands is counted in code points here, in bytes there.
"""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.serve.bodies import ForeignBody, ModelName, TextOrTexts, listed
from modernbert.serve.models import Models
from modernbert.text.tokenizer import Tokenizer

TokenId = Annotated[int, Field(ge=0, lt=2**32)]


class Tokenize(ForeignBody):
    """TEI's request; `model` is ours."""

    inputs: TextOrTexts
    add_special_tokens: bool = True
    prompt_name: str | None = None
    model: ModelName = None


class Token(BaseModel):
    """TEI's result."""

    id: int
    text: str
    """The part of the text that the token stands for; of a special token, its name."""
    special: bool
    start: int | None
    stop: int | None


class Decode(ForeignBody):
    """TEI's request; `model` is ours."""

    ids: list[TokenId] | list[list[TokenId]]
    skip_special_tokens: bool = True
    model: ModelName = None


def router(models: Models) -> APIRouter:
    """`/tokenize` and `/decode`."""
    routes = APIRouter(tags=["tokens"])

    @routes.post("/tokenize")
    async def tokenize(body: Tokenize, request: Request) -> list[list[Token]]:
        """The tokens of each text, with their places in it (in the text behind its prompt, where one is named)."""
        texts = listed(body.inputs, models.settings, "inputs")
        if body.prompt_name is not None:
            prompt = models.find(body.model, "embed").prompts.choose(body.prompt_name, None)
            texts = [prompt + text for text in texts]
        tokenizer = _tokenizer(models, body.model)
        return await models.call(request, lambda: _tokens(tokenizer, texts, special=body.add_special_tokens))

    @routes.post("/decode")
    async def decode(body: Decode, request: Request) -> list[str]:
        """The text of each list of ids."""
        is_single = bool(body.ids) and isinstance(body.ids[0], int)
        rows = listed([body.ids] if is_single else body.ids, models.settings, "ids")
        tokenizer = _tokenizer(models, body.model)
        return await models.call(
            request,
            lambda: [tokenizer.decode(ids, special=not body.skip_special_tokens) for ids in rows],  # type: ignore[arg-type]
        )

    return routes


def _tokenizer(models: Models, name: str | None) -> Tokenizer:
    """Of the model of this name; absent: of the first."""
    about = models.about(models.names()[0] if name is None else name)
    return models.find(about.name, about.abilities[0]).tokenizer  # type: ignore[call-overload]


def _tokens(tokenizer: Tokenizer, texts: list[str], *, special: bool) -> list[list[Token]]:
    encoded = tokenizer.encode(texts, special=special, offsets=True)
    return [
        [_token(tokenizer, text, token_id, span) for token_id, span in zip(ids, spans, strict=True)]
        for text, ids, spans in zip(texts, encoded.ids, encoded.offsets, strict=True)
    ]


def _token(tokenizer: Tokenizer, text: str, token_id: int, span: tuple[int, int]) -> Token:
    if token_id in tokenizer.special_ids:
        return Token(id=token_id, text=tokenizer.token(token_id), special=True, start=None, stop=None)
    start, stop = span
    return Token(id=token_id, text=text[start:stop], special=False, start=start, stop=stop)
