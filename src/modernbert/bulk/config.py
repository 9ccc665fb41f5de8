"""Settings of a job; no torch here, so help stays instant."""

from dataclasses import dataclass
from typing import Literal

from modernbert.core.dtypes import DtypeName
from modernbert.core.errors import UserError

Long = Literal["chunk-mean", "chunk-max", "head"]
"""What becomes of a document longer than the model takes: read in pieces whose results are averaged by length, or of which
the highest counts; or its beginning is read alone."""

VERSION = 1
"""Of everything that decides what is computed and how it is written: raise it, and folders of before are refused."""

WINDOW_ROWS = 4096
"""Documents that are sorted and packed together, and rows of a Parquet group. Two windows are in memory."""

WINDOW_CHARACTERS = 4_000_000
"""The same in characters, about a million tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of a job."""

    name: str
    """Begins the names of its columns; empty where there is only one model."""
    source: str
    """A packaged name, a folder or a Hub id."""
    fingerprint: str = ""
    """Hash of its files; empty until they were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides what is written for a document. One folder of annotations belongs to one recipe."""

    models: tuple[Model, ...]
    long: Long = "chunk-mean"
    text_field: str = "text"
    id_field: str = "id"
    dtype: DtypeName = "auto"
    device: str = "cpu"
    threads: int = 1
    """Of one worker. It is a part of the recipe because sums of two threads are added in another order than those of one."""
    batch_tokens: int = 8192
    """Tokens of a batch; fixed, for a batch that adapts to the machine changes last digits."""
    version: int = VERSION

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("found no model, expected one or more: name it with --model")
        names = [model.name for model in self.models]
        if len(set(names)) != len(names) or (len(names) > 1 and "" in names):
            raise UserError(
                f"found models named {', '.join(map(repr, names))}, expected a name of its own for each: "
                "write --model quality=FOLDER topic=OTHER"
            )
        for name, found in (("threads", self.threads), ("batch_tokens", self.batch_tokens)):
            if found < 1:
                raise UserError(f"{name}: found {found}, expected 1 or more")


def models_named(sources: tuple[str, ...]) -> tuple[Model, ...]:
    """Models as the command line names them.

    >>> [model.name for model in models_named(("quality=runs/edu/model", "topic=runs/topic/model"))]
    ['quality', 'topic']
    """
    found = []
    for each in sources:
        name, equals, source = each.partition("=")
        found.append(Model(name=name, source=source) if equals else Model(name="", source=each))
    return tuple(found)
