"""What the bodies of several routes have in common: strict types, names of models, and how many texts one may hold.

Places in texts count Unicode code points, as Python does: not bytes, and not JavaScript's UTF-16 units.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from modernbert.infer.engine import TooLong
from modernbert.serve.config import Settings
from modernbert.serve.errors import ApiError

Item = TypeVar("Item")

MOST_CANDIDATES = 1000
"""Guesses, answers or results that a request may ask for."""


class Body(BaseModel):
    """A body whose every key is known: one that is misspelt is told."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class ForeignBody(BaseModel):
    """A body of an API that others invented: their clients send keys that mean nothing here."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


ModelName = Annotated[
    str | None, Field(max_length=300, description="A model that the server has; absent: the first that can do it.")
]
TopK = Annotated[int, Field(ge=1, le=MOST_CANDIDATES)]
TextOrTexts = str | list[str]
Direction = Annotated[
    Literal["right", "Right"], Field(description="Only the end of a text is ever cut, hence nothing but right.")
]


def listed(given: Item | list[Item], settings: Settings, name: str) -> list[Item]:
    """One or several, as several.

    Raises:
        ApiError: 400, there are none; 413, more than a request may have.
    """
    found = given if isinstance(given, list) else [given]
    check_number(found, settings, name)
    return found


def check_number(given: Sequence[object], settings: Settings, name: str) -> None:
    """Refuse none, and more than a request may have.

    Raises:
        ApiError: 400 or 413.
    """
    if not given:
        raise ApiError(400, f"{name}: found none, expected one or more", kind="Empty", param=name)
    limit = settings.max_client_batch_size
    if len(given) > limit:
        raise ApiError(413, f"{name}: found {len(given)}, expected {limit} or fewer: send them in parts", param=name)


def too_long(truncate: bool | None) -> TooLong | None:
    """What `truncate` means; absent: what the server was started with."""
    return None if truncate is None else "truncate" if truncate else "refuse"
