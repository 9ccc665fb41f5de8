"""What a finished shard says of itself: a small JSON beside it, written last. A shard without one is not done."""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Self

from modernbert.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a shard is."""

    share: float
    """Of its bytes, read."""
    rows: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One finished shard."""

    name: str
    """Of the input file, below the corpus."""
    size: int
    """Bytes that the input file had."""
    recipe: str
    """Hash of the recipe."""
    models: dict[str, str]
    """Name and fingerprint of each."""
    rows: int
    """Written."""
    quarantined: int = 0
    """Rows that could not be read; the quarantine file has their reasons."""
    long: int = 0
    """Documents longer than a model takes."""
    unread: int = 0
    """Tokens of these that no model read."""
    tokens: int = 0
    """That passed through trunks, special ones included."""
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    """The first few reasons of the quarantine."""
    host: str = ""

    def as_json(self) -> bytes:
        """To be written."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def of(cls, content: bytes, where: str) -> Self:
        """As read.

        Raises:
            UserError: it is none.
        """
        try:
            found = json.loads(content)
            return cls(**{f.name: found[f.name] for f in fields(cls)})
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{where} is not what annotate writes ({error!r}): remove it, and its shard is done again"
            ) from None
