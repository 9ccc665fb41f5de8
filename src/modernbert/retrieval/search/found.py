"""What a search gives, and what a refresh did."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.snippets import Snippet, snippet

Evidence = tuple[int, int, float]
"""From a character of the text to before another, and how much it weighs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A chunk that answers a query."""

    id: str
    path: str
    first_line: int
    """From 1."""
    last_line: int
    """Inclusive."""
    text: str
    header: str
    """Where it stands: path or title, headings, enclosing class and signature."""
    kind: str
    """`prose`, or of code what is defined: `function`, `class`, ..."""
    symbol: str
    """`Class.method`; empty for prose."""
    score: float
    """What the order is by; of one search only."""
    legs: Mapping[str, float]
    """What each way of searching said: `dense`, `lexical`, `fused`, `late`."""
    spans: list[Evidence]
    """Why it was found, in characters of `text`."""
    metadata: Mapping[str, Json] = field(default_factory=dict)
    """What the document says of itself."""

    def snippet(self, lines: int = 6) -> Snippet:
        """The lines with the most evidence."""
        return snippet(self.text, self.first_line, self.spans, lines=lines)

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "id": self.id,
            "path": self.path,
            "first_line": self.first_line,
            "last_line": self.last_line,
            "kind": self.kind,
            "symbol": self.symbol,
            "score": self.score,
            "legs": dict(self.legs),
            "header": self.header,
            "text": self.text,
            "spans": [list(span) for span in self.spans],
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What it took to bring an index up to date."""

    num_files: int
    """In the index now."""
    added: int
    changed: int
    """Files that moved are among them."""
    removed: int
    chunks_encoded: int
    seconds: float
    report: str
    """One line: what differed, and what was left out, by reason."""
    faults: tuple[str, ...] = ()
    """Sentences: what could not be read, and what was guessed, of the files that were read now."""

    @property
    def is_nothing(self) -> bool:
        """Whether all was as it was."""
        return not (self.added or self.changed or self.removed)

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "num_files": self.num_files, "added": self.added, "changed": self.changed, "removed": self.removed,
            "chunks_encoded": self.chunks_encoded, "seconds": self.seconds, "report": self.report,
            "faults": list(self.faults),
        }  # fmt: skip
