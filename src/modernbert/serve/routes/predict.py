"""TEI's `/predict`: the labels of texts or of pairs of texts, with their probabilities.

Source: TEI 1.9's OpenAPI description. A text longer than the model takes is read in pieces; nothing of it is cut.
"""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.serve.bodies import Direction, ForeignBody, ModelName, check_number, too_long
from modernbert.serve.models import Models
from modernbert.tasks.classify import Classified, TextClassifier

One = Annotated[list[str], Field(min_length=1, max_length=2)]
"""A text, or a pair of texts."""


class Predict(ForeignBody):
    """TEI's request; `model` is ours."""

    inputs: Annotated[
        str | One | list[One], Field(description="A text, a pair of texts, or a batch of [text] and [text, text].")
    ]
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    raw_scores: bool = False
    model: ModelName = None


class Prediction(BaseModel):
    """TEI's result."""

    score: float
    label: str


def router(models: Models) -> APIRouter:
    """`/predict`."""
    routes = APIRouter(tags=["classify"])

    @routes.post("/predict")
    async def predict(body: Predict, request: Request) -> list[Prediction] | list[list[Prediction]]:
        """The labels of a text or a pair, likeliest first; of a batch, a list of such lists."""
        is_single = isinstance(body.inputs, str) or (bool(body.inputs) and isinstance(body.inputs[0], str))
        batch = [[body.inputs]] if isinstance(body.inputs, str) else [body.inputs] if is_single else body.inputs
        check_number(batch, models.settings, "inputs")
        classifier = models.find(body.model, "classify")
        found = await models.call(
            request,
            lambda: _classified(classifier, batch, raw=body.raw_scores),  # type: ignore[arg-type]
            too_long=too_long(body.truncate),
        )
        rows = [[Prediction(score=score, label=label) for label, score in each.scores.items()] for each in found]
        return rows[0] if is_single else rows

    return routes


def _classified(classifier: TextClassifier, batch: list[list[str]], *, raw: bool) -> list[Classified]:
    """Texts and pairs, each with its kind, in the order given."""
    texts = iter(classifier.predict([each[0] for each in batch if len(each) == 1], raw=raw))
    pairs = iter(classifier.predict([(each[0], each[1]) for each in batch if len(each) == 2], raw=raw))
    return [next(texts if len(each) == 1 else pairs) for each in batch]
