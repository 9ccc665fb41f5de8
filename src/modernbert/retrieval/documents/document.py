"""What is read and what is cut: a document with its sections, and a chunk, the unit that is encoded and found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from modernbert.core.errors import UserError
from modernbert.core.jsonable import Json

Kind = Literal["text", "markdown", "html", "pdf", "jsonl", "code"]


class UnreadableError(UserError):
    """A file that holds no text we can read. `reason` is short and the same for all of its sort, to count by."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Where a part of a document begins, and under which headings; it ends where the next one begins."""

    start: int
    """Character of the text."""
    headings: tuple[str, ...] = ()
    """From the outermost to its own."""
    page: int | None = None
    """Of a PDF, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text. A file is one document, a `.jsonl` one for each line."""

    id: str
    """`root/path/in/root`, and `#record` for a line of JSONL: the same on every machine."""
    path: str
    """To open it, as the user would write it."""
    text: str
    r"""Line ends are `\n`."""
    kind: Kind = "text"
    language: str = ""
    """Of code, as its grammar is called; empty otherwise."""
    title: str = ""
    sections: tuple[Section, ...] = ()
    line: int | None = None
    """Where the whole text stands on one line of its file; absent where lines of the text are lines of the file (or, for
    HTML and PDF, lines of what is shown)."""
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A run of whole lines (code) or sentences (prose) of a document."""

    document: str
    """The document's id."""
    path: str
    start: int
    """Character of the document's text where this begins; `text` is what stands from there on."""
    first_line: int
    """Of `start`, from 1."""
    last_line: int
    """Inclusive: the last one that is not empty."""
    text: str
    header: str
    """Context for the encoder, not for showing: path or title, headings, enclosing class and signature."""
    kind: str
    """`prose`, `lines`, or what is defined: `function`, `method`, `class`, ...; `module` for code between definitions."""
    symbol: str = ""
    """`Class.method`; empty for prose, and for code at the top of a file."""
    occurrence: int = 0
    """How many equal chunks the document has before this one."""
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Character of the document's text behind the last one of this."""
        return self.start + len(self.text)

    @property
    def with_header(self) -> str:
        """What an encoder should read: without the empty lines around the text."""
        text = self.text.rstrip().lstrip("\n")
        return f"{self.header}\n\n{text}" if self.header else text

    @property
    def content(self) -> str:
        """A hash of what an encoder reads: chunks of equal `content` have equal vectors, in whatever document."""
        return _hash(self.with_header)

    @property
    def id(self) -> str:
        """Of document, content and occurrence. Lines that move keep it; so does the same file on another branch."""
        return _hash(self.document, self.with_header, str(self.occurrence))


def _hash(*parts: str) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded))  # the length keeps a part from running into the next
        digest.update(encoded)
    return digest.hexdigest()
