"""What an index was made for, and which Parquet parts it consists of: one small JSON file, replaced as a whole."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from modernbert.core.errors import ConfigError, UserError
from modernbert.core.files import write_atomically

FORMAT = 1
NAME = "manifest.json"
Similarity: TypeAlias = Literal["cosine", "dot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the vectors of an index are; the same for all of them, for ever."""

    model: str
    """Name of the model, for people."""
    model_hash: str
    """Fingerprint of its weights: vectors of two models must not meet."""
    vector_size: int
    tokens_size: int | None = None
    """Width of a token's vector; None where there are none."""
    similarity: Similarity = "cosine"
    """Of dense vectors. Tokens are compared by their dot product."""
    chunker: str = ""
    """Version of what cut the texts."""

    def __post_init__(self) -> None:
        if self.vector_size < 1 or (self.tokens_size is not None and self.tokens_size < 1):
            raise ConfigError(
                f"index: vectors of {self.vector_size} and {self.tokens_size}, expected 1 or more numbers"
            )
        if self.similarity not in ("cosine", "dot"):
            raise ConfigError(f"index: similarity {self.similarity!r}, expected 'cosine' or 'dot'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file."""

    name: str
    commit: int
    """The last whose rows it holds."""
    rows: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An index at one moment."""

    settings: Settings
    commit: int = 0
    base: int = 0
    """Parts up to this commit were merged: a store that is older must be built from the start."""
    count: int = 0
    """Records."""
    average_words: float | None = None
    """Of a text; fixed by the first batch, measured again by a rebuild."""
    parts: tuple[Part, ...] = ()

    def save(self, folder: Path) -> None:
        """The moment at which a commit counts."""
        with write_atomically(folder / NAME, "w") as file:
            json.dump({"format": FORMAT, **asdict(self)}, file, indent=1)
            file.write("\n")

    def next(self, part: Part, *, count: int, average_words: float | None) -> "Manifest":
        """One commit later."""
        return replace(
            self, commit=part.commit, count=count, average_words=average_words, parts=(*self.parts, part)
        )  # fmt: skip


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where there is no index.

    Raises:
        UserError: it cannot be read, or another version of this package wrote it.
    """
    path = folder / NAME
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged ({error}): restore it from a backup, or index into another folder") from None
    found = written.pop("format", None) if isinstance(written, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{path}: found format {found!r}, this version of modernbert reads {FORMAT}: "
            "use the version that wrote it, or index into another folder"
        )
    try:
        settings, parts = Settings(**written.pop("settings")), tuple(Part(**part) for part in written.pop("parts"))
        return Manifest(settings=settings, parts=parts, **written)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}): restore it from a backup, or index into another folder") from None


def check_same(folder: Path, found: Settings, wanted: Settings) -> None:
    """Refuse to mix what cannot be mixed.

    Raises:
        UserError: the index was made by another model or chunker, or for other vectors.
    """
    for name in ("model_hash", "vector_size", "tokens_size", "similarity", "chunker"):
        if (before := getattr(found, name)) == (now := getattr(wanted, name)):
            continue
        if name == "model_hash":
            before, now = f"{found.model} ({_short(before)})", f"{wanted.model} ({_short(now)})"
        raise UserError(
            f"{folder}: the index was made with {name.replace('_', ' ')} {before}, now it is {now}, and their vectors or "
            "texts do not fit together: go on with the first, index into another folder, or delete this one and index anew"
        )


def _short(text: str) -> str:
    return text[:12]
