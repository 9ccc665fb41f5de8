"""`/tag`: entities with their places, or a tag for every word; what `InferenceClient.token_classification` asks."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.serve.bodies import Body, ModelName, TextOrTexts, listed
from modernbert.serve.models import Models
from modernbert.tasks.tag import Tagged


class TagParameters(Body):
    """How."""

    aggregation_strategy: Annotated[
        Literal["none", "simple", "first"] | None,
        Field(
            description="none: a tag for every word; else entities, where tags are BIO. A word's tag is its first token's."
        ),
    ] = None
    ignore_labels: list[str] = Field(
        default_factory=lambda: ["O"], max_length=1000, description="Tags or types that are left out."
    )


class Tag(Body):
    """One text or several."""

    inputs: TextOrTexts
    parameters: TagParameters = TagParameters()
    model: ModelName = None


class Marked(BaseModel):
    """An entity, or a word: its place in code points."""

    entity_group: str | None = None
    entity: str | None = None
    score: float
    word: str
    start: int
    end: int


def router(models: Models) -> APIRouter:
    """`/tag`."""
    routes = APIRouter(tags=["tasks"])

    @routes.post("/tag", response_model_exclude_none=True)
    async def tag(body: Tag, request: Request) -> list[Marked] | list[list[Marked]]:
        """The entities of a text in order; of several texts, a list each."""
        texts = listed(body.inputs, models.settings, "inputs")
        tagger = models.find(body.model, "tag")
        found = await models.call(request, lambda: tagger.predict(texts))
        by_word = body.parameters.aggregation_strategy == "none" or not tagger.is_bio
        rows = [
            [
                each
                for each in (_words(one) if by_word else _entities(one))
                if _name(each) not in body.parameters.ignore_labels
            ]
            for one in found
        ]
        return rows[0] if isinstance(body.inputs, str) else rows

    return routes


def _entities(found: Tagged) -> list[Marked]:
    return [
        Marked(entity_group=each.label, score=each.score, word=each.text, start=each.start, end=each.end)
        for each in found.entities
    ]


def _words(found: Tagged) -> list[Marked]:
    places = zip(found.words, found.spans, found.tags, found.scores, strict=True)
    return [
        Marked(entity=tag, score=score, word=word, start=start, end=end) for word, (start, end), tag, score in places
    ]


def _name(marked: Marked) -> str | None:
    return marked.entity_group or marked.entity
