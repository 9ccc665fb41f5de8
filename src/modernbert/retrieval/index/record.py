"""What goes into an index, what is asked of it, and what comes back.

Shapes:  D width of the dense vector   T tokens of one text   P width of a token's vector
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from jaxtyping import Float, Float16, Float32

from modernbert.core.errors import UserError
from modernbert.core.jsonable import Json

_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One searchable text: a chunk, a paragraph, a function."""

    id: str
    text: str
    vector: Float[np.ndarray, "D"]
    tokens: Float[np.ndarray, "T P"] | None = None
    """A vector a token, for MaxSim; kept as float16."""
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """The same question in up to three forms; `search` says which its mode needs."""

    text: str | None = None
    vector: Float[np.ndarray, "D"] | None = None
    tokens: Float[np.ndarray, "T P"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A record that was found. A leg's score is None where that leg was not asked or did not find it."""

    id: str
    score: float
    """What the order is by: the last step's score."""
    text: str
    metadata: dict[str, Json]
    dense: float | None = None
    lexical: float | None = None
    fused: float | None = None
    late: float | None = None
    """MaxSim over tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What an `add` did, in records."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    """Their content was there already: nothing was written."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A checked record, exactly as it is kept."""

    id: str
    text: str
    vector: Float32[np.ndarray, "D"]
    tokens: Float16[np.ndarray, "T P"] | None
    metadata: str
    """JSON with sorted keys."""

    @classmethod
    def of(cls, record: Record, *, vector_size: int, tokens_size: int | None) -> Self:
        """Check a record and bring it into the form in which it is kept.

        Raises:
            UserError: a vector of another size or with NaN, text that is not Unicode, metadata that is not JSON.
        """
        if not isinstance(record.id, str) or not record.id:
            raise UserError(f"record {record.id!r}: an id is a string that is not empty")
        name = f"record {record.id!r}"
        vector = finite(f"{name}: vector", record.vector, (vector_size,)).astype(np.float32)
        tokens = None
        if record.tokens is not None:
            if tokens_size is None:
                raise UserError(
                    f"{name}: found token vectors, but the index was made without them: "
                    "make one with tokens_size, or leave them out"
                )
            tokens = half(f"{name}: tokens", record.tokens, tokens_size)
        return cls(
            _unicode(f"{name}: id", record.id), _unicode(f"{name}: text", record.text), vector, tokens,
            _canonical(name, record.metadata),
        )  # fmt: skip

    @property
    def hash(self) -> bytes:
        """16 bytes that change with anything but the id."""
        whole = hashlib.blake2b(digest_size=16)
        shape = b"" if self.tokens is None else str(self.tokens.shape).encode()
        parts = (self.text.encode(), self.metadata.encode(), self.vector.tobytes(), shape)
        for part in (*parts, b"" if self.tokens is None else self.tokens.tobytes()):
            whole.update(len(part).to_bytes(8, "little"))  # keeps one part from running into the next
            whole.update(part)
        return whole.digest()

    @property
    def record(self) -> Record:
        """As the user gave it."""
        return Record(self.id, self.text, self.vector, self.tokens, json.loads(self.metadata))


def finite(what: str, values: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array, of that shape (None: any length) and without NaN.

    Raises:
        UserError: it is not.
    """
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(
        want in (None, found) for want, found in zip(shape, array.shape, strict=False)
    )
    if not fits or array.dtype.kind not in "fiu":
        expected = " x ".join("any" if size is None else str(size) for size in shape)
        raise UserError(f"{what}: found {array.dtype} of shape {array.shape}, expected {expected} numbers")
    if not np.isfinite(array).all():
        raise UserError(f"{what}: found NaN or infinity, expected finite numbers: look at the model that made it")
    return array


def half(what: str, tokens: np.ndarray, size: int) -> Float16[np.ndarray, "T P"]:
    """Token vectors as float16.

    Raises:
        UserError: another shape, none at all, or numbers too large for float16.
    """
    array = finite(what, tokens, (None, size))
    if len(array) == 0:
        raise UserError(f"{what}: found no token, expected one or more: give None for a text without tokens")
    if np.abs(array).max() > _HALF:
        raise UserError(f"{what}: found {np.abs(array).max():g}, expected at most {_HALF:g} (float16): normalize them")
    return array.astype(np.float16)


def _unicode(what: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{what}: character {error.start} is half a surrogate pair, not Unicode: decode it anew"
        ) from None
    return text


def _canonical(name: str, metadata: Mapping[str, Json]) -> str:
    _check_json(f"{name}: metadata", dict(metadata))
    written = json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True, allow_nan=False)
    return _unicode(f"{name}: metadata", written)


def _check_json(where: str, value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise UserError(f"{where}: found the key {key!r}, expected keys that are strings")
            _check_json(f"{where}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            _check_json(where, inner)
    elif isinstance(value, float) and not np.isfinite(value):
        raise UserError(f"{where}: found {value}, which JSON cannot hold: leave it out")
    elif not isinstance(value, str | int | float | bool | None):
        raise UserError(f"{where}: found {type(value).__name__}, expected what JSON can hold: write it as text")
