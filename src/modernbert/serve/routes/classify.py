"""`/classify` and `/zero-shot`: labels of texts, trained and untrained; what `InferenceClient` asks. `/explain`: which words drove one."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.serve.bodies import Body, ModelName, TextOrTexts, TopK, listed
from modernbert.serve.models import Models
from modernbert.serve.opening import expect_weights
from modernbert.serve.turn import Turn
from modernbert.tasks.classify import Classified
from modernbert.tasks.explain import Explanation, explain
from modernbert.tasks.zero_shot import TEMPLATE

MOST_EXPLAINED = 512
"""Tokens of a text to explain, which goes through the model many times."""


class ClassifyParameters(Body):
    """How."""

    top_k: Annotated[TopK | None, Field(description="Labels that are told; absent: all.")] = None
    function_to_apply: Annotated[
        Literal["none"] | None,
        Field(description="none: logits; absent: the probabilities that the model was trained for."),
    ] = None


class Classify(Body):
    """One text or several."""

    inputs: TextOrTexts
    parameters: ClassifyParameters = ClassifyParameters()
    model: ModelName = None


class ZeroShotParameters(Body):
    """Which labels."""

    candidate_labels: Annotated[list[str], Field(min_length=1, max_length=100)]
    hypothesis_template: Annotated[str, Field(max_length=1000, description="A sentence with {} for the label.")] = (
        TEMPLATE
    )
    multi_label: Annotated[bool, Field(description="Whether a text may have several: each is judged alone.")] = False


class ZeroShot(Body):
    """One text or several, and labels in words."""

    inputs: TextOrTexts
    parameters: ZeroShotParameters
    model: ModelName = None


class Label(BaseModel):
    """A label and its probability."""

    label: str
    score: float


class Explain(Body):
    """One text."""

    inputs: str
    label: Annotated[str | None, Field(description="Why this one; absent: the likeliest.")] = None
    steps: Annotated[int, Field(ge=1, le=128, description="Of the sum along the way; more are more exact.")] = 32
    occlusion: Annotated[bool, Field(description="Whether each word is also taken away, as a check.")] = False
    model: ModelName = None


class Weighed(BaseModel):
    """A word and what it did; its place in code points."""

    text: str
    start: int
    end: int
    weight: float
    """Logits that it adds to the label; below 0: it speaks against it."""
    occlusion: float | None


class Explained(BaseModel):
    """A prediction and its words."""

    label: str
    score: float
    words: list[Weighed]
    logit: float
    baseline: float
    """The logit of the text of [MASK]s: the weights add up to the difference, but for the gap."""
    gap: float
    agreement: float | None
    """Spearman's correlation of weights and occlusion."""


def router(models: Models) -> APIRouter:
    """`/classify`, `/zero-shot` and `/explain`."""
    routes = APIRouter(tags=["tasks"])
    turn = Turn()  # gradients go past the desk

    @routes.post("/classify")
    async def classify(body: Classify, request: Request) -> list[list[Label]]:
        """For each text, also if it is one, its labels, likeliest first."""
        texts = listed(body.inputs, models.settings, "inputs")
        classifier = models.find(body.model, "classify")
        raw = body.parameters.function_to_apply == "none"
        found = await models.call(request, lambda: classifier.predict(texts, raw=raw))
        return [_labels(each)[: body.parameters.top_k] for each in found]

    @routes.post("/zero-shot")
    async def zero_shot(body: ZeroShot, request: Request) -> list[Label] | list[list[Label]]:
        """The labels, best first; of several texts, a list each."""
        texts = listed(body.inputs, models.settings, "inputs")
        judge, how = models.find(body.model, "zero-shot"), body.parameters
        found = await models.call(
            request,
            lambda: judge.predict(
                texts, how.candidate_labels, template=how.hypothesis_template, several=how.multi_label
            ),
        )
        rows = [_labels(each) for each in found]
        return rows[0] if isinstance(body.inputs, str) else rows

    @routes.post("/explain")
    async def explain_one(body: Explain, request: Request) -> Explained:
        """Which words drove the label of a text: integrated gradients from the text of [MASK]s."""
        classifier = models.find(body.model, "classify")
        expect_weights(classifier, "explanations")

        def work() -> Explanation:
            with turn.taken():
                return explain(
                    classifier, body.inputs, label=body.label, steps=body.steps, occlusion=body.occlusion,
                    longest=MOST_EXPLAINED,
                )  # fmt: skip

        found = await models.call(request, work)
        return Explained(
            label=found.label,
            score=found.score,
            words=[
                Weighed(text=each.text, start=each.start, end=each.end, weight=each.weight, occlusion=each.occlusion)
                for each in found.words
            ],
            logit=found.logit,
            baseline=found.baseline,
            gap=found.gap,
            agreement=found.agreement,
        )

    return routes


def _labels(found: Classified) -> list[Label]:
    return [Label(label=label, score=score) for label, score in found.scores.items()]
