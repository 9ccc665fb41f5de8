"""Late interaction: a vector a token at `/late/embed`, and at `/late/match` which tokens matched.

Vectors come as JSON or, a third of the size and without a digit lost, in the safetensors format: eight bytes with the header's
length, a header in JSON, then the numbers as they lie in memory. Readers exist in Python, Rust and C++, and in a browser it
takes `JSON.parse` and a `Float32Array`; an .npz would need zip and numpy. Two tensors: `vectors` [T, P], all texts' tokens one
behind the other, and `offsets` [N + 1]: text i has the rows from offsets[i] to before offsets[i + 1].

Shapes:  N texts   T tokens of all texts   P width of a vector
"""

from typing import Annotated, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.maxsim import Vectors, maxsim_evidence
from modernbert.serve.bodies import Body, ModelName, TextOrTexts, check_number, listed, too_long
from modernbert.serve.models import Models

BINARY = "application/octet-stream"


class LateEmbed(Body):
    """One text or several."""

    inputs: TextOrTexts
    kind: Annotated[
        Literal["query", "document"],
        Field(description="What they are: each has its marker, its length and its expansion."),
    ] = "document"
    pool_factor: Annotated[
        float | None,
        Field(ge=1, le=100, description="Tokens of a document that become one; absent: what the model says."),
    ] = None
    encoding_format: Annotated[
        Literal["float", "safetensors"],
        Field(description="JSON, or binary: tensors `vectors` [T, P] and `offsets` [N + 1]."),
    ] = "float"
    dtype: Annotated[Literal["float32", "float16"], Field(description="Of the binary numbers.")] = "float32"
    truncate: bool | None = None
    model: ModelName = None


class LateMatch(Body):
    """A question and documents."""

    query: str
    documents: list[str]
    truncate: bool | None = None
    model: ModelName = None


class Match(BaseModel):
    """What one token of the query found in a document; its place in code points."""

    text: str
    start: int
    end: int
    similarity: float


class Matched(BaseModel):
    """One document; nothing of it where all its tokens are skipped."""

    score: float | None
    matches: list[Match]
    """One a token of the query. A special token, or the marker, has an empty text."""


class Matches(BaseModel):
    """A query's tokens, as the vocabulary spells them, and the documents in the order given."""

    query: list[str]
    documents: list[Matched]


def router(models: Models) -> APIRouter:
    """`/late/embed` and `/late/match`."""
    routes = APIRouter(prefix="/late", tags=["embed"])

    @routes.post(
        "/embed",
        response_model=list[list[list[float]]],
        responses={200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def late_embed(body: LateEmbed, request: Request) -> Response:
        """For each text a vector for each of its tokens that counts."""
        texts = listed(body.inputs, models.settings, "inputs")
        late = models.find(body.model, "late")
        return await models.call(request, lambda: _answer(late, texts, body), too_long=too_long(body.truncate))

    @routes.post("/match")
    async def late_match(body: LateMatch, request: Request) -> Matches:
        """For each document its score, and for each token of the query the token that matched best; before pooling."""
        check_number(body.documents, models.settings, "documents")
        late = models.find(body.model, "late")
        return await models.call(request, lambda: _matches(late, body), too_long=too_long(body.truncate))

    return routes


def _answer(late: LateInteraction, texts: list[str], body: LateEmbed) -> Response:
    if body.kind == "query":
        rows = late.encode_query(texts)
    else:
        rows = late.encode_document(texts, pool_factor=body.pool_factor)
    if body.encoding_format == "float":
        whole = [np.ascontiguousarray(row) for row in rows]
        return Response(orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
    from safetensors.numpy import save

    tensors = {
        "vectors": np.concatenate(rows).astype(body.dtype),
        "offsets": np.cumsum([0, *map(len, rows)], dtype=np.int64),
    }
    return Response(save(tensors, metadata={"kind": body.kind}), media_type=BINARY)


def _matches(late: LateInteraction, body: LateMatch) -> Matches:
    (query,) = late.encode_query([body.query])
    rows = late.encode_document(body.documents, pool_factor=1)
    scores = late.similarity([query], rows)[0].tolist()
    spans = late.document_spans(body.documents)
    return Matches(
        query=late.query_tokens(body.query),
        documents=[
            Matched(score=score, matches=_found(query, row, own, text)) if len(row) else Matched(score=None, matches=[])
            for score, row, own, text in zip(scores, rows, spans, body.documents, strict=True)
        ],
    )


def _found(query: Vectors, row: Vectors, spans: list[tuple[int, int]], text: str) -> list[Match]:
    evidence = maxsim_evidence(query, row)
    found = []
    for best, similarity in zip(evidence.best.tolist(), evidence.scores.tolist(), strict=True):
        start, end = spans[best]
        found.append(Match(text=text[start:end], start=start, end=end, similarity=similarity))
    return found
