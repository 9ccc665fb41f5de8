"""Who ranks: words (BM25), vectors, vectors of tokens, a reranker after another, several together.

A `Ranker` makes a `Searcher` of the documents, and that answers. All searchers here look at every document (exact scan), so that
a figure is the model's and not an index's. Nothing here knows what is relevant.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from modernbert.core.errors import UserError, require
from modernbert.retrieval.documents.identifiers import words_of
from modernbert.retrieval.index.fusion import DENSE_SHARE, Fusion, hybrid

Found = dict[str, float]
"""Scores by document, of the best of one query."""
Facts = dict[str, Any]
"""Settings that a figure depends on, as JSON has them."""


class Searcher(Protocol):
    """Documents made ready to be searched."""

    @property
    def num_bytes(self) -> int:
        """What has to be kept to answer, without the texts."""
        ...

    @property
    def build_seconds(self) -> float:
        """What it took to make them ready."""
        ...

    def search(self, queries: Sequence[str], most: int) -> list[Found]:
        """The best documents of each query; of equal scores at the end those with the larger id."""
        ...


class Ranker(Protocol):
    """A way to rank."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def facts(self) -> Facts:
        """What its figures depend on; a "kind" is among them."""
        ...

    def index(self, documents: Mapping[str, str]) -> Searcher:
        """Make documents ready."""
        ...


class Ids:
    """The ids of documents by number, and which of two is taken where scores are equal."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = list(ids)
        self._order_N = np.empty(len(self.ids), dtype=np.int64)
        self._order_N[sorted(range(len(self.ids)), key=self.ids.__getitem__)] = np.arange(len(self.ids))

    def best(self, scores_N: np.ndarray, most: int) -> Found:
        """The `most` best, best first; of equal scores the larger id first. A score of -inf is no match.

        Raises:
            UserError: a score is not a number.
        """
        if np.isnan(scores_N).any():
            raise UserError("a score is not a number, expected numbers: the model's vectors are broken")
        if most < len(scores_N):
            least = np.partition(scores_N, len(scores_N) - most)[len(scores_N) - most]
            chosen = np.flatnonzero(scores_N >= least)  # with all that are as good as the last one
        else:
            chosen = np.arange(len(scores_N))
        chosen = chosen[scores_N[chosen] > -np.inf]
        chosen = chosen[np.lexsort((-self._order_N[chosen], -scores_N[chosen].astype(np.float64)))][:most]
        return {self.ids[i]: float(scores_N[i]) for i in chosen}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bm25:
    """Words: Lucene's formula, settings and English stop words, through bm25s. Documents without a word of the query do not match."""

    k1: float = 1.2
    b: float = 0.75
    stemming: bool = True
    """Snowball's English stemmer, as Lucene's English analyser has Porter's."""
    identifiers: bool = False
    """Take names of code apart at underscores and capitals: without it BM25 finds little in code."""

    @property
    def name(self) -> str:
        """bm25, and what is not as usual."""
        return f"bm25{'' if self.stemming else ', unstemmed'}{', identifiers' if self.identifiers else ''}"

    @property
    def facts(self) -> Facts:
        """What a figure depends on."""
        return {"kind": "bm25", "formula": "lucene", "stop words": "english", "k1": self.k1, "b": self.b, "stemming": self.stemming, "identifiers": "at capitals and digits" if self.identifiers else False}  # fmt: skip

    def index(self, documents: Mapping[str, str]) -> Searcher:
        """Count the words."""
        return _Words(self, documents)


class _Words:
    def __init__(self, settings: Bm25, documents: Mapping[str, str]) -> None:
        start = time.perf_counter()
        bm25s: Any = require("bm25s", extra="retrieval")
        stemmer: Any = require("Stemmer", extra="retrieval").Stemmer("english") if settings.stemming else None
        self._ids = Ids(list(documents))

        def words(texts: Sequence[str]) -> list[list[str]]:
            texts = [_apart(text) for text in texts] if settings.identifiers else list(texts)
            return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)

        self._words: Callable[[Sequence[str]], list[list[str]]] = words
        counted = words(list(documents.values()))
        self._index = None  # bm25s refuses documents without any word
        if any(counted):
            self._index = bm25s.BM25(method="lucene", k1=settings.k1, b=settings.b)
            self._index.index(counted, show_progress=False)
        self.build_seconds = time.perf_counter() - start
        arrays = [self._index.scores[name] for name in ("data", "indices", "indptr")] if self._index else []
        self.num_bytes = sum(array.nbytes for array in arrays)

    def search(self, queries: Sequence[str], most: int) -> list[Found]:
        found: list[Found] = []
        for words in self._words(queries):
            if self._index is None or not words:
                found.append({})
                continue
            scores_N = self._index.get_scores(words)
            found.append(self._ids.best(np.where(scores_N > 0, scores_N, -np.inf), most))
        return found


_RANKED = ("corpus_id", "score")


class Reranks(Protocol):
    """`Reranker`, sentence-transformers' `CrossEncoder`, or one with their verb."""

    def rank(self, query: str, documents: Sequence[str], /) -> Sequence[Any]:
        """A `corpus_id` (number of the document) and a `score` for each document, as keys or as attributes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """What another ranker found, put in order by a model that reads query and document together."""

    model: Reranks
    first: Ranker
    name: str
    depth: int = 100
    """Documents that it reads a query; what the first ranker has beyond is lost."""
    model_facts: Facts = field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        """What a figure depends on."""
        return {"kind": "rerank", "model": self.model_facts, "depth": self.depth, "first": self.first.facts}

    def index(self, documents: Mapping[str, str]) -> Searcher:
        """Make the first ranker ready."""
        return _Reranking(self, documents)


class _Reranking:
    def __init__(self, settings: Reranked, documents: Mapping[str, str]) -> None:
        self._settings, self._documents = settings, documents
        self._first = settings.first.index(documents)
        self.num_bytes, self.build_seconds = self._first.num_bytes, self._first.build_seconds

    def search(self, queries: Sequence[str], most: int) -> list[Found]:
        found: list[Found] = []
        for query, candidates in zip(queries, self._first.search(queries, self._settings.depth), strict=True):
            ids = list(candidates)
            rows = self._settings.model.rank(query, [self._documents[id_] for id_ in ids]) if ids else []
            scores_N = np.full(len(ids), np.nan)
            for row in rows:
                number, score = (row[name] if isinstance(row, Mapping) else getattr(row, name) for name in _RANKED)
                scores_N[int(number)] = float(score)
            found.append(Ids(ids).best(scores_N, most))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """Words and vectors together, as `Index.search` fuses them."""

    words: Ranker
    dense: Ranker
    name: str
    depth: int = 100
    """Places of each that count."""
    fusion: Fusion = "scores"

    @property
    def facts(self) -> Facts:
        """What a figure depends on."""
        return {"kind": "hybrid", "fusion": self.fusion, "dense share": DENSE_SHARE, "depth": self.depth, "parts": [self.words.facts, self.dense.facts]}  # fmt: skip

    def index(self, documents: Mapping[str, str]) -> Searcher:
        """Make all of them ready."""
        return _Fusion(self, documents)


class _Fusion:
    def __init__(self, settings: Hybrid, documents: Mapping[str, str]) -> None:
        self._settings = settings
        self._parts = [part.index(documents) for part in (settings.words, settings.dense)]
        self.num_bytes = sum(part.num_bytes for part in self._parts)
        self.build_seconds = sum(part.build_seconds for part in self._parts)

    def search(self, queries: Sequence[str], most: int) -> list[Found]:
        answers = [part.search(queries, self._settings.depth) for part in self._parts]
        return [self._fused(words, dense, most) for words, dense in zip(*answers, strict=True)]

    def _fused(self, words: Found, dense: Found, most: int) -> Found:
        sums = hybrid(dense, words, self._settings.fusion, limit=self._settings.depth)
        return Ids(list(sums)).best(np.array(list(sums.values())), most) if sums else {}


def _apart(text: str) -> str:
    return " ".join(part for word in text.split() for part in words_of(word))
