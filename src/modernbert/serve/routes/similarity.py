"""TEI's `/similarity`: how alike sentences are to one; what `InferenceClient.sentence_similarity` asks.

Source: TEI 1.9's OpenAPI description.
"""

from fastapi import APIRouter, Request

from modernbert.retrieval.similarity import similar
from modernbert.serve.bodies import Direction, ForeignBody, ModelName, check_number, too_long
from modernbert.serve.models import Models
from modernbert.serve.vectors import Wish


class Sentences(ForeignBody):
    """What is compared with what."""

    source_sentence: str
    sentences: list[str]


class Parameters(ForeignBody):
    """How."""

    truncate: bool | None = None
    truncation_direction: Direction = "right"
    prompt_name: str | None = None


class Compare(ForeignBody):
    """TEI's request; `model` is ours."""

    inputs: Sentences
    parameters: Parameters | None = None
    model: ModelName = None


def router(models: Models) -> APIRouter:
    """`/similarity`."""
    routes = APIRouter(tags=["embed"])

    @routes.post("/similarity")
    async def similarity(body: Compare, request: Request) -> list[float]:
        """The cosine of each sentence's vector with that of the source sentence."""
        texts = [body.inputs.source_sentence, *body.inputs.sentences]
        check_number(body.inputs.sentences, models.settings, "sentences")
        embedder = models.find(body.model, "embed")
        how = body.parameters or Parameters()
        wish = Wish(inputs=texts, prompt_name=how.prompt_name, normalize=False)
        vectors_ND = await models.call(
            request, lambda: wish.vectors(embedder, models.settings), too_long=too_long(how.truncate)
        )
        return similar(vectors_ND[:1], vectors_ND[1:])[0].tolist()

    return routes
