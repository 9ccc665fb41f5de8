"""`/fill-mask`: what belongs where a text says [MASK]; what `InferenceClient.fill_mask` asks and transformers' pipeline answers."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modernbert.serve.bodies import Body, ModelName, TextOrTexts, TopK, listed
from modernbert.serve.models import Models
from modernbert.tasks.fill_mask import Guess, MaskFiller


class FillMaskParameters(Body):
    """How."""

    top_k: TopK = 5
    targets: Annotated[
        list[str] | None,
        Field(min_length=1, max_length=1000, description="Judge these words only, each a single token."),
    ] = None


class FillMask(Body):
    """One text or several, with one [MASK] or several in each."""

    inputs: TextOrTexts
    parameters: FillMaskParameters = FillMaskParameters()
    model: ModelName = None


class Filled(BaseModel):
    """One candidate for one [MASK]."""

    score: float
    """Probability among the whole vocabulary."""
    token: int
    token_str: str
    """As text, with its leading space where it has one."""
    sequence: str
    """The text with this token in this place; other [MASK]s stay."""


Masks = list[Filled] | list[list[Filled]]
"""Of one text: the candidates of its one [MASK], or of each of several."""


def router(models: Models) -> APIRouter:
    """`/fill-mask`."""
    routes = APIRouter(tags=["tasks"])

    @routes.post("/fill-mask")
    async def fill_mask(body: FillMask, request: Request) -> Masks | list[Masks]:
        """Candidates, likeliest first: a list of them; of a text with several [MASK]s a list each; of several texts such a list each."""
        texts = listed(body.inputs, models.settings, "inputs")
        filler = models.find(body.model, "fill-mask")
        how = body.parameters
        # A [MASK] that is cut away cannot be filled, so a text that is too long is refused whatever the server does else.
        filled = await models.call(
            request, lambda: filler.fill(texts, top_k=how.top_k, targets=how.targets), too_long="refuse"
        )
        found = [_told(filler, text, masks) for text, masks in zip(texts, filled, strict=True)]
        return found[0] if isinstance(body.inputs, str) else found

    return routes


def _told(filler: MaskFiller, text: str, masks: list[list[Guess]]) -> Masks:
    mask = filler.tokenizer.token(filler.tokenizer.mask_id)
    parts = text.split(mask)
    found = [
        [_filled(mask.join(parts[: place + 1]), guess, mask.join(parts[place + 1 :])) for guess in guesses]
        for place, guesses in enumerate(masks)
    ]
    return found[0] if len(found) == 1 else found


def _filled(before: str, guess: Guess, after: str) -> Filled:
    stem = before.rstrip()  # [MASK] takes the white space before it, and a token that begins a word brings its own
    token = guess.token if stem else guess.token.lstrip()
    return Filled(score=guess.score, token=guess.token_id, token_str=guess.token, sequence=f"{stem}{token}{after}")
