"""Chunks as context for a language model: within a budget, each line once, and every passage with where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from modernbert.core.errors import UserError
from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.documents.measure import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where a passage of the context stands."""

    number: int
    """As in the text: `[1]`."""
    document: str
    path: str
    first_line: int
    last_line: int

    def __str__(self) -> str:
        lines = f"{self.first_line}-{self.last_line}" if self.last_line > self.first_line else f"{self.first_line}"
        return f"[{self.number}] {self.path}:{lines}"

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "number": self.number, "document": self.document, "path": self.path, "first_line": self.first_line,
            "last_line": self.last_line,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The text for the prompt, and what is in it."""

    text: str
    citations: tuple[Citation, ...]
    passages: tuple[str, ...]
    """The text of each citation, without it."""
    size: int
    """Of the text, as counted; never above the budget."""
    num_left_out: int
    """Chunks that did not fit, or only in part."""


@dataclass(slots=True)
class _Passage:
    """Neighbours of one document, joined."""

    chunk: Chunk
    start: int
    text: str
    first_line: int
    last_line: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def assemble(chunks: Sequence[Chunk], *, budget: int, count: Count | None = None) -> Context:
    """The best chunks that fit, the best one's passage first.

    A chunk that does not fit is passed over for smaller ones behind it; if not even the first fits, it is cut at a line's
    end. Chunks of one document that touch or overlap become one passage, as do parts of one long line, with … between them.

    Args:
        chunks: the best first.
        budget: of the whole text with its citations, in what `count` counts; characters if absent.

    Raises:
        UserError: the budget is not positive.
    """
    if budget < 1:
        raise UserError(f"budget: found {budget}, expected at least 1: how many tokens the context may take")
    passages: list[_Passage] = []
    num_left_out = 0
    for chunk in chunks:
        trial = _with(passages, _Passage(chunk, chunk.start, chunk.text, chunk.first_line, chunk.last_line))
        if _size(_render(trial), count) <= budget:
            passages = trial
            continue
        num_left_out += 1
        if not passages:
            passages = _cut(chunk, budget, count)
    text = _render(passages)
    passages = _of_lines(passages)
    citations = tuple(_citation(number, passage) for number, passage in enumerate(passages, start=1))
    return Context(
        text=text, citations=citations, passages=tuple(_trimmed(passage.text) for passage in passages),
        size=_size(text, count), num_left_out=num_left_out,
    )  # fmt: skip


def _with(passages: Sequence[_Passage], new: _Passage) -> list[_Passage]:
    """All of them and a new one, which takes in its neighbours, in the place of the first of them."""
    place = len(passages)
    kept: list[_Passage] = []
    for passage in passages:
        if passage.chunk.document == new.chunk.document and passage.start <= new.end and new.start <= passage.end:
            place = min(place, len(kept))
            new = _joined(passage, new)
        else:
            kept.append(passage)
    kept.insert(place, new)
    return kept


def _joined(one: _Passage, other: _Passage) -> _Passage:
    first, second = (one, other) if one.start <= other.start else (other, one)
    text = first.text + second.text[max(0, first.end - second.start) :]
    last = max(first.last_line, second.last_line)
    return _Passage(first.chunk, first.start, text, min(first.first_line, second.first_line), last)


def _cut(chunk: Chunk, budget: int, count: Count | None) -> list[_Passage]:
    """As many of its first lines as fit; nothing if none does."""
    lines = chunk.text.rstrip().split("\n")

    def with_lines(number: int) -> list[_Passage]:
        text = "\n".join(lines[:number]).rstrip()
        last = min(chunk.first_line + text.count("\n"), chunk.last_line)
        return [_Passage(chunk, chunk.start, text, chunk.first_line, last)] if text else []

    fits, too_many = 0, len(lines) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _size(_render(with_lines(middle)), count) <= budget:
            fits = middle
        else:
            too_many = middle
    return with_lines(fits)


def _render(passages: Sequence[_Passage]) -> str:
    return "\n\n".join(
        f"{_citation(number, passage)}\n{_trimmed(passage.text)}"
        for number, passage in enumerate(_of_lines(passages), start=1)
    )


def _of_lines(passages: Sequence[_Passage]) -> list[_Passage]:
    """As they are shown: parts of the same lines together, in the place of the first of them."""
    parts: dict[Citation, list[_Passage]] = {}
    for passage in passages:
        parts.setdefault(_citation(0, passage), []).append(passage)
    shown = []
    for some in parts.values():
        first, *rest = sorted(some, key=lambda passage: passage.start)
        text = " … ".join([first.text.rstrip(), *(passage.text.strip() for passage in rest)]) if rest else first.text
        shown.append(_Passage(first.chunk, first.start, text, first.first_line, first.last_line))
    return shown


def _trimmed(text: str) -> str:
    """Without empty lines at the ends; the first line keeps its indentation."""
    return "\n".join(text.rstrip().split("\n")[_num_empty(text) :])


def _num_empty(text: str) -> int:
    """How many lines before the first one that is not empty."""
    return next((place for place, line in enumerate(text.split("\n")) if line.strip()), 0)


def _citation(number: int, passage: _Passage) -> Citation:
    return Citation(
        number=number, document=passage.chunk.document, path=passage.chunk.path,
        first_line=min(passage.first_line + _num_empty(passage.text), passage.last_line),
        last_line=passage.last_line,
    )  # fmt: skip


def _size(text: str, count: Count | None) -> int:
    return len(text) if count is None else count([text])[0]
