"""`/answer`: where a text answers a question; what `InferenceClient.question_answering` asks. `/choose`: which choice fits."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.serve.bodies import Body, ModelName, TopK, check_number
from modernbert.serve.models import Models


class Asked(Body):
    """A question and the text that may answer it; however long, it is read in parts that overlap."""

    question: str
    context: str


class AnswerParameters(Body):
    """How."""

    top_k: TopK = 1
    handle_impossible_answer: Annotated[
        bool, Field(description="Whether the answer may be that the text does not say: then it is empty.")
    ] = False


class Answer(Body):
    """One question."""

    inputs: Asked
    parameters: AnswerParameters = AnswerParameters()
    model: ModelName = None


class Answered(BaseModel):
    """One answer; its place in code points."""

    answer: str
    score: float
    start: int
    end: int


class Choices(Body):
    """A beginning, and texts that may go on with it."""

    question: str
    choices: Annotated[list[str], Field(min_length=2)]


class Choose(Body):
    """One question."""

    inputs: Choices
    model: ModelName = None


class Chosen(BaseModel):
    """The place of the best choice, and how likely each is."""

    choice: int
    scores: list[float]


def router(models: Models) -> APIRouter:
    """`/answer` and `/choose`."""
    routes = APIRouter(tags=["tasks"])

    @routes.post("/answer")
    async def answer(body: Answer, request: Request) -> Answered | list[Answered]:
        """The likeliest answer; with top_k above 1, a list, best first."""
        answerer, how = models.find(body.model, "answer"), body.parameters
        pair = (body.inputs.question, body.inputs.context)
        (found,) = await models.call(
            request,
            lambda: answerer.predict([pair], top_k=how.top_k, must_answer=not how.handle_impossible_answer),
        )
        rows = [Answered(answer=each.text, score=each.score, start=each.start, end=each.end) for each in found]
        if how.top_k > 1:
            return rows
        return rows[0] if rows else Answered(answer="", score=0.0, start=0, end=0)  # a text without a word

    @routes.post("/choose")
    async def choose(body: Choose, request: Request) -> Chosen:
        """Which of several texts goes best with the first."""
        check_number(body.inputs.choices, models.settings, "choices")
        chooser = models.find(body.model, "choose")
        asked = (body.inputs.question, body.inputs.choices)
        (found,) = await models.call(request, lambda: chooser.predict([asked]))
        return Chosen(choice=found.choice, scores=list(found.scores))

    return routes
