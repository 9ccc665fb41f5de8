"""Words of prose and code, and their weights: BM25 as Lucene's, cut in two so that every store gives the same scores.

A document's half is stored with it; the other half, how rare a word is, goes into the query. A store then only multiplies and
adds. The average length is fixed when the index is made, since documents stored before would otherwise weigh differently
from those after; `rebuild` measures it anew.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from modernbert.core.files import write_atomically

VERSION = 1
"""Of the way that text is split; an index split otherwise is built again."""
K1, B = 1.2, 0.75
"""Lucene's."""

_WORD = re.compile(r"\w+")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_RUN = re.compile(r"\d+|[^\W\d_]+")


def words(text: str) -> list[str]:
    """The words of a text, in lower case; an identifier whole, and then its parts.

    Chinese and Japanese, which have no spaces, give every two neighbouring characters.

    >>> words("getUserName(HTTP_server2)")
    ['getusername', 'get', 'user', 'name', 'http_server2', 'http', 'server', '2']
    """
    found: list[str] = []
    for word in _WORD.findall(text):
        if word.isascii() or not _IDEOGRAPHS.search(word):
            found.append(word.casefold())
            pieces = [piece for run in _RUN.findall(word) for piece in _humps(run)]
            if len(pieces) > 1:
                found += [piece.casefold() for piece in pieces]
        else:
            found += _pairs(word)
    return found


def counts(text: str) -> dict[int, int]:
    """How often each word occurs, by its number: 32 bits, since that is what sparse vectors are indexed by."""
    return dict(Counter(zlib.crc32(word.encode()) for word in words(text)))


def document_weights(counted: Mapping[int, int], average: float) -> dict[int, float]:
    """A document's half of BM25: between 0 and 1 + K1, growing with the count, falling with the length."""
    length = sum(counted.values())
    slowness = K1 * (1 - B + B * length / average)
    return {word: count * (K1 + 1) / (count + slowness) for word, count in counted.items()}


class Lexicon:
    """In how many documents each word occurs; the query's half of BM25."""

    def __init__(self) -> None:
        self.documents = 0
        self._words = np.zeros(0, dtype=np.uint32)
        self._frequencies = np.zeros(0, dtype=np.int64)
        self._since: Counter[int] = Counter()

    def add(self, documents: Iterable[Mapping[int, int]]) -> None:
        """Count more documents."""
        for counted in documents:
            self.documents += 1
            self._since.update(counted.keys())

    def remove(self, documents: Iterable[Mapping[int, int]]) -> None:
        """Count documents no longer."""
        for counted in documents:
            self.documents -= 1
            self._since.subtract(counted.keys())

    def frequency(self, word: int) -> int:
        """Documents with the word."""
        at = int(np.searchsorted(self._words, word))
        is_known = at < len(self._words) and self._words[at] == word
        return (int(self._frequencies[at]) if is_known else 0) + self._since[word]

    def query_weights(self, text: str) -> dict[int, float]:
        """How rare each word of the query is, times how often it occurs there; words that no document has are left out."""
        weights = {}
        for word, count in sorted(counts(text).items()):
            if frequency := self.frequency(word):
                weights[word] = count * math.log1p((self.documents - frequency + 0.5) / (frequency + 0.5))
        return weights

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        every = np.union1d(self._words, np.fromiter(self._since, dtype=np.uint32, count=len(self._since)))
        frequencies = np.zeros(len(every), dtype=np.int64)
        frequencies[np.searchsorted(every, self._words)] = self._frequencies
        for word, more in self._since.items():
            frequencies[np.searchsorted(every, word)] += more
        kept = frequencies > 0
        self._words, self._frequencies, self._since = every[kept], frequencies[kept], Counter()
        with write_atomically(path) as file:
            np.savez(file, words=self._words, frequencies=self._frequencies, documents=self.documents)

    @classmethod
    def load(cls, path: Path) -> "Lexicon":
        """What `save` wrote; numpy's and zipfile's errors where it is damaged."""
        lexicon = cls()
        with np.load(path) as saved:
            lexicon._words, lexicon._frequencies = saved["words"], saved["frequencies"]
            lexicon.documents = int(saved["documents"])
        return lexicon


def _humps(run: str) -> list[str]:
    """Camel case apart, in any alphabet that has cases: HTTPServer is HTTP and Server."""
    if run[1:].islower() or run.isupper() or not run.isalpha():
        return [run]
    starts = [
        i
        for i in range(1, len(run))
        if run[i].isupper() and (not run[i - 1].isupper() or (i + 1 < len(run) and run[i + 1].islower()))
    ]
    return [run[start:end] for start, end in zip([0, *starts], [*starts, len(run)], strict=True)]


def _pairs(word: str) -> list[str]:
    found: list[str] = []
    end = 0
    for run in _IDEOGRAPHS.finditer(word):
        found += words(word[end : run.start()])
        signs = run.group()
        found += [signs[i : i + 2] for i in range(len(signs) - 1)] or [signs]
        end = run.end()
    return found + words(word[end:])
