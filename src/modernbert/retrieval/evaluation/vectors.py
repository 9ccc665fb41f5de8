"""Rankers by vectors: one a text (dense) or one a token (late interaction), of any model with sentence-transformers' verbs.

Shapes:  N documents   D width   T tokens of all documents   Q queries
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast
from zipfile import BadZipFile

import numpy as np

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.retrieval.evaluation.rankers import Facts, Found, Ids, Searcher
from modernbert.retrieval.maxsim import maxsim
from modernbert.retrieval.similarity import unit

_BLOCK = 2**26
"""Scores in memory at once."""


class Encodes(Protocol):
    """`Embedder`, `LateInteraction`, and sentence-transformers' `SentenceTransformer` and `MultiVectorEncoder`."""

    def encode_query(self, texts: Any, /) -> Any:
        """A row a text, or an array [tokens, width] a text."""
        ...

    def encode_document(self, texts: Any, /) -> Any:
        """As `encode_query`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Vectors of texts, one after another."""

    rows: np.ndarray
    """float32 [T, D]."""
    lengths: np.ndarray | None
    """Rows of each text, where a text has several."""
    seconds: float
    """What it took to encode them, whenever that was."""


class Encodings:
    """A model that encodes the same list of documents once, also for several rankers, and across runs where it has a folder."""

    def __init__(self, model: Encodes, *, facts: Facts, cache: Path | None = None) -> None:
        self.model = model
        self.facts = facts
        """Names the model by its content; the folder trusts it."""
        self._cache = cache
        self._kept: dict[str, Vectors] = {}

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Encoded now, or taken from where they are."""
        key = _key(self.facts, texts)
        if key in self._kept:
            return self._kept[key]
        path = self._cache / f"{key}.npz" if self._cache else None
        found = _read(path) if path is not None and path.is_file() else None
        if found is None:
            start = time.perf_counter()
            given = self.model.encode_document(list(texts))
            found = _vectors(given, time.perf_counter() - start)
            if path is not None:
                _write(path, found)
        self._kept = {key: found}  # the last collection only: a larger one needs the memory
        return found

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Encoded now, for that is part of an answer's time."""
        return _vectors(self.model.encode_query(list(texts)), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Cosine, or the dot product where the model says so, with every document."""

    encodings: Encodings
    name: str

    @property
    def facts(self) -> Facts:
        """What a figure depends on."""
        return {"kind": "dense", "model": self.encodings.facts}

    def index(self, documents: Mapping[str, str]) -> Searcher:
        """Encode the documents."""
        return _Scan(self.encodings, documents, _similarity(self.encodings.model, ("cosine", "dot"), "dense"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """MaxSim: for each token of the query its best token of the document, and their sum."""

    encodings: Encodings
    name: str

    @property
    def facts(self) -> Facts:
        """What a figure depends on."""
        return {"kind": "late", "model": self.encodings.facts}

    def index(self, documents: Mapping[str, str]) -> Searcher:
        """Encode the documents."""
        return _Scan(self.encodings, documents, _similarity(self.encodings.model, ("maxsim",), "late"))


class _Scan:
    def __init__(self, encodings: Encodings, documents: Mapping[str, str], similarity: str) -> None:
        self._encodings, self._similarity = encodings, similarity
        self._ids = Ids(list(documents))
        vectors = encodings.documents(list(documents.values()))
        start = time.perf_counter()
        if (vectors.lengths is not None) != (similarity == "maxsim"):
            found = "one vector a token" if vectors.lengths is not None else "one vector a text"
            raise UserError(f"the model gives {found}, expected the other: rank with {'late' if vectors.lengths is not None else 'dense'}")  # fmt: skip
        self._rows = unit(vectors.rows) if similarity == "cosine" else vectors.rows
        self._documents = [] if vectors.lengths is None else _texts(vectors)
        self.num_bytes = self._rows.nbytes
        self.build_seconds = vectors.seconds + time.perf_counter() - start

    def search(self, queries: Sequence[str], most: int) -> list[Found]:
        asked = self._encodings.queries(queries)
        size = max(1, _BLOCK // max(1, len(self._ids.ids)))
        if asked.lengths is None:
            rows = unit(asked.rows) if self._similarity == "cosine" else asked.rows
            blocks = (rows[start : start + size] @ self._rows.T for start in range(0, len(rows), size))
        else:
            texts = _texts(asked)
            blocks = (maxsim(texts[start : start + size], self._documents) for start in range(0, len(texts), size))
        return [self._ids.best(scores_N, most) for scores_QN in blocks for scores_N in scores_QN]


def _texts(vectors: Vectors) -> list[np.ndarray]:
    """[tokens, D] of each text, without a copy."""
    assert vectors.lengths is not None
    ends = np.cumsum(vectors.lengths)
    return [vectors.rows[end - length : end] for end, length in zip(ends, vectors.lengths, strict=True)]


def _similarity(model: Encodes, expected: tuple[str, ...], kind: str) -> str:
    name = str(getattr(model, "similarity_fn_name", None) or expected[0])
    if name not in expected:
        raise UserError(
            f"the model's similarity is {name!r}, expected {' or '.join(expected)} for a {kind} ranker: choose another ranker"
        )
    return name


def _vectors(given: Any, seconds: float) -> Vectors:
    if isinstance(given, list) and not (given and np.ndim(_array(given[0])) == 1):
        # rows of zeros stand for tokens that are not there, as in sentence-transformers' maxsim
        arrays = [rows[rows.any(1)] for rows in map(_array, given)]
        lengths = np.array([len(rows) for rows in arrays], dtype=np.int64)
        return Vectors(rows=np.concatenate(arrays) if arrays else np.zeros((0, 0), np.float32), lengths=lengths, seconds=seconds)  # fmt: skip
    rows = np.stack([_array(row) for row in given]) if isinstance(given, list) else _array(given)
    return Vectors(rows=rows, lengths=None, seconds=seconds)


def _array(given: Any) -> np.ndarray:
    """float32, whether it was an array or a tensor on some device."""
    if hasattr(given, "detach"):
        given = given.detach().float().cpu().numpy()
    return np.asarray(given, dtype=np.float32)


def _key(facts: Facts, texts: Sequence[str]) -> str:
    whole = hashlib.sha256(repr(sorted(facts.items())).encode())
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        whole.update(b"%d:" % len(raw) + raw)
    return whole.hexdigest()


def _write(path: Path, vectors: Vectors) -> None:
    parts = {"rows": vectors.rows, "seconds": np.float64(vectors.seconds)}
    if vectors.lengths is not None:
        parts["lengths"] = vectors.lengths
    with write_atomically(path) as file:
        np.savez(file, **cast("dict[str, Any]", parts))


def _read(path: Path) -> Vectors:
    try:
        with path.open("rb") as file, np.load(file) as parts:
            lengths = parts.get("lengths")
            return Vectors(rows=parts["rows"], lengths=lengths, seconds=float(parts["seconds"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: is no kept encoding ({error}): delete it, it will be made again") from None
