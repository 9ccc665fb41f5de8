"""A document to its chunks: what is encoded, indexed and shown."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modernbert.core.errors import ConfigError
from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.code import Lines, cut_code
from modernbert.retrieval.documents.cut import LINES, WORDS, cut, fill, within
from modernbert.retrieval.documents.document import Chunk, Document
from modernbert.retrieval.documents.languages import QUERIES
from modernbert.retrieval.documents.measure import Count, Measure, Part
from modernbert.retrieval.documents.prose import cut_prose

CHUNKER = 1
"""Raise it when the same file would be cut otherwise: every index then cuts its files anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How documents are cut."""

    size: int = 1600
    """The largest chunk, its header not counted, in `unit`; white space at its ends may go beyond."""
    overlap: int = 0
    """How much of the passage before is repeated, in whole sentences. Prose only: code has its header for that."""
    small: int | None = None
    """Neighbours that are together no larger are one chunk; absent: a quarter of `size`."""
    unit: str = "characters"
    """What sizes are counted in: a name for the tokenizer, where a function counts."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"size: found {self.size}, expected at least 1: how much goes into one chunk")
        if not 0 <= self.overlap < self.size:
            raise ConfigError(f"overlap: found {self.overlap}, expected 0 to {self.size - 1}, less than size")
        if self.small is not None and not 0 <= self.small <= self.size:
            raise ConfigError(f"small: found {self.small}, expected 0 to {self.size}, no more than size")

    @property
    def version(self) -> str:
        """Files of an index that were cut under another version are cut anew."""
        return f"{CHUNKER}:{self.size}:{self.overlap}:{self._small}:{self.unit}"

    @property
    def _small(self) -> int:
        return self.size // 4 if self.small is None else self.small


def chunk(document: Document, chunking: Chunking = Chunking(), *, count: Count | None = None) -> list[Chunk]:
    """The chunks in order. Without overlap, their texts joined are the document's.

    Args:
        count: gives the sizes of several texts, in tokens say; absent: characters.
    """
    if not document.text or document.text.isspace():
        return []
    measure = Measure(document.text, count)
    found = _code(document, measure, chunking) if document.kind == "code" else _prose(document, measure, chunking)
    seen: Counter[str] = Counter()
    chunks: list[Chunk] = []
    for one in found:
        key = one.content
        chunks.append(replace(one, occurrence=seen[key]) if seen[key] else one)
        seen[key] += 1
    return chunks


def _prose(document: Document, measure: Measure, chunking: Chunking) -> Iterator[Chunk]:
    lines = _Lines(document)
    passages = cut_prose(
        measure, document.sections, size=chunking.size, overlap=chunking.overlap, small=chunking._small
    )
    for passage in passages:
        metadata: dict[str, Json] = dict(document.metadata)
        if passage.headings:
            metadata["headings"] = list(passage.headings)
        if passage.pages:
            metadata["first_page"], metadata["last_page"] = passage.pages
        headings = passage.headings
        if document.title and document.title != (headings[0] if headings else ""):
            headings = (document.title, *headings)
        first, last = lines.of(passage.start, passage.end)
        yield Chunk(
            document=document.id, path=document.path, start=passage.start, first_line=first, last_line=last,
            text=document.text[passage.start : passage.end], header=" > ".join(headings), kind="prose",
            metadata=metadata,
        )  # fmt: skip


def _code(document: Document, measure: Measure, chunking: Chunking) -> Iterator[Chunk]:
    lines = _Lines(document)
    parts = cut_code(measure, document.language, size=chunking.size, small=chunking._small)
    for part, pieces in zip(parts, _fitting(measure, parts, lines, chunking.size), strict=True):
        main, metadata = part.main, _facts(document, part)
        header = "\n".join((document.id, *(definition.signature for definition in part.around)))
        for start, end in pieces:
            first, last = lines.of(start, end)
            yield Chunk(
                document=document.id, path=document.path, start=start, first_line=first, last_line=last,
                text=document.text[start:end], header=header, kind=main.kind if main else _loose(document.language),
                symbol=main.symbol if main else "", metadata=metadata,
            )  # fmt: skip


def _facts(document: Document, part: Lines) -> dict[str, Json]:
    metadata: dict[str, Json] = {**document.metadata, "language": document.language}
    if part.begins:
        metadata["symbols"] = [definition.symbol for definition in part.begins]
    if main := part.main:
        metadata["signature"] = main.signature
        if main.doc and main in part.begins:
            metadata["doc"] = main.doc
    return metadata


def _fitting(measure: Measure, parts: Sequence[Lines], lines: "_Lines", size: int) -> list[list[Part]]:
    """Each part in pieces that fit: at line ends, or of a single line at words."""
    wholes = [(lines.starts[part.first], lines.starts[part.last]) for part in parts]
    found: list[list[Part]] = []
    for part, pieces in zip(parts, within(measure, wholes, size, level=LINES), strict=True):
        if part.last - part.first == 1 and len(pieces) == 1:
            words = cut(measure, pieces[0], size, level=WORDS)
            runs = fill(words, measure(words), size)
            pieces = [(words[first][0], words[last - 1][1]) for first, last in runs]
            pieces = [piece for fitting in within(measure, pieces, size, level=WORDS) for piece in fitting]
        found.append(pieces)
    return found


def _loose(language: str) -> str:
    return "module" if language in QUERIES else "lines"


class _Lines:
    """The lines of a document."""

    def __init__(self, document: Document) -> None:
        self._line, self._text = document.line, document.text
        self.starts = [0, *(end.end() for end in re.finditer("\n", document.text))]
        if self.starts[-1] < len(document.text):
            self.starts.append(len(document.text))

    def of(self, start: int, end: int) -> tuple[int, int]:
        """The first line of a part, from 1, and the last that is not empty."""
        if self._line is not None:
            return self._line, self._line
        return bisect_right(self.starts, start), bisect_right(self.starts, max(start, self._last(start, end)))

    def _last(self, start: int, end: int) -> int:
        """The last character of a part that is no white space."""
        while end > start and self._text[end - 1].isspace():
            end -= 1
        return end - 1
