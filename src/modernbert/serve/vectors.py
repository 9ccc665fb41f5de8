"""Embeddings of a request's inputs, and vectors as clients read them: JSON, or base64 of little-endian float32."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field

from modernbert.retrieval.embedder import Embedder
from modernbert.serve.config import Settings
from modernbert.serve.errors import ApiError

Ids = list[Annotated[int, Field(ge=0, lt=2**31)]]

Inputs = Annotated[
    str | list[str] | Ids | list[Ids],
    Field(description="A text, several, or token ids of one or several, special tokens left out."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How inputs are to be embedded."""

    inputs: str | list[str] | list[int] | list[list[int]]
    dimensions: int | None = None
    prompt_name: str | None = None
    normalize: bool = True

    @property
    def rows(self) -> list[str] | list[list[int]]:
        """One or several inputs, as several."""
        if isinstance(self.inputs, str) or (self.inputs and isinstance(self.inputs[0], int)):
            return [self.inputs]  # type: ignore[list-item]
        return self.inputs  # type: ignore[return-value]

    def vectors(self, embedder: Embedder, settings: Settings) -> Float[np.ndarray, "N D"]:
        """One row an input.

        Raises:
            UserError: the model has no such prompt, token or so many dimensions.
            ApiError: the model gave something that is no number.
        """
        name = self.prompt_name or settings.default_prompt_name
        prompt = settings.default_prompt if self.prompt_name is None else None
        given = self.rows
        encode = embedder.encode if isinstance(given[0], str) else embedder.encode_ids
        return checked(
            encode(
                given,  # type: ignore[arg-type]
                prompt_name=name,
                prompt=prompt,
                truncate_dim=self.dimensions,
                normalize_embeddings=self.normalize,
            )
        )


def checked(vectors: np.ndarray) -> np.ndarray:
    """The same: nobody is given NaN with a 200.

    Raises:
        ApiError: 500.
    """
    if not np.isfinite(vectors).all():
        raise ApiError(
            500,
            "the model gave numbers that are none (NaN or infinite): its weights are damaged, or its dtype too narrow",
        )
    return vectors


def as_base64(vectors: Sequence[np.ndarray]) -> list[str]:
    """Each as OpenAI's clients want it."""
    return [base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode() for row in vectors]
