"""TEI's `/embed_sparse`: the words of a text by weight (SPLADE).

Source: TEI 1.9's OpenAPI description.
"""

from itertools import pairwise
from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel

from modernbert.retrieval.sparse import SparseEncoder
from modernbert.serve.bodies import Direction, ForeignBody, ModelName, TextOrTexts, listed, too_long
from modernbert.serve.models import Models


class EmbedSparse(ForeignBody):
    """TEI's request; `model` is ours."""

    inputs: TextOrTexts
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    prompt_name: str | None = None
    model: ModelName = None


class SparseValue(BaseModel):
    """A word of the vocabulary, by its id, and its weight."""

    index: int
    value: float

    @classmethod
    def of(cls, index: int, value: float) -> Self:
        """The two in order."""
        return cls(index=index, value=value)


def router(models: Models) -> APIRouter:
    """`/embed_sparse`."""
    routes = APIRouter(tags=["embed"])

    @routes.post("/embed_sparse")
    async def embed_sparse(body: EmbedSparse, request: Request) -> list[list[SparseValue]]:
        """For each text the words that weigh something, by their ids, rising."""
        texts = listed(body.inputs, models.settings, "inputs")
        encoder = models.find(body.model, "sparse")
        return await models.call(
            request, lambda: _values(encoder, texts, body.prompt_name), too_long=too_long(body.truncate)
        )

    return routes


def _values(encoder: SparseEncoder, texts: list[str], prompt_name: str | None) -> list[list[SparseValue]]:
    rows_NV = encoder.encode(texts, prompt_name=prompt_name)
    words = list(map(SparseValue.of, rows_NV.indices.tolist(), rows_NV.data.tolist()))
    return [words[start:end] for start, end in pairwise(map(int, rows_NV.indptr))]
