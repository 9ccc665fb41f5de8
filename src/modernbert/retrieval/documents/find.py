"""From the paths a user names to the files to read, in an order that never changes; what is left out is counted by reason.

Files are judged by name and `stat` alone. What only their bytes tell (binary, not text) is said when they are read.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.document import Kind
from modernbert.retrieval.documents.ignored import Ignored, is_generated, is_vendored
from modernbert.retrieval.documents.kinds import IN_CODE, kind_of

LARGEST: dict[Kind, int] = {
    "text": 2**24, "markdown": 2**24, "html": 2**24, "code": 2**20, "pdf": 2**28, "jsonl": 2**30,
}  # fmt: skip
"""Bytes. Code beyond a megabyte was written by a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder with the name that its documents' ids begin with; a bare path gets one of its own."""

    path: Path | str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to read, as `stat` saw it."""

    id: str
    """`root/path/in/root`, with slashes."""
    path: str
    kind: Kind
    language: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was left out; nothing in a folder is looked at."""

    path: str
    reason: str


@dataclass(slots=True)
class Found:
    """What `find_files` found."""

    files: list[File] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def report(self) -> str:
        """One line: how many files, and what was left out for which reason."""
        size = sum(file.size for file in self.files)
        return f"found {len(self.files):,} files ({size / 1e6:,.1f} MB){left_out(self.skipped)}"


def find_files(
    paths: Sequence[Path | str | Root],
    *,
    code: bool = False,
    ignore: Sequence[str] = (),
    hidden: bool = False,
    follow_links: bool = False,
    largest: int | None = None,
) -> Found:
    """The files below these paths; a file that is named itself is taken whatever is ignored.

    Args:
        code: whether these are repositories: source files and notes, rather than documents of all kinds but code.
        ignore: patterns in the language of .gitignore, stronger than any ignore file.
        hidden: whether names that begin with a dot are read.
        follow_links: whether links within the folders are followed; a folder is never walked twice.
        largest: bytes; absent: by kind (`LARGEST`).

    Raises:
        UserError: a path is not there, two roots have one name, or a pattern cannot be read.
    """
    walk = _Walk(code=code, hidden=hidden, follow_links=follow_links, largest=largest)
    for root in roots_of(paths):
        path = os.fspath(root.path)
        real = os.path.realpath(path)
        if os.path.isdir(real):
            ignored = Ignored.above(Path(real), ignore)
            walk.folder(path, real, root.name, ignored, first=True)
        elif os.path.exists(real):
            walk.file(path, real, root.name, named=True)
        else:
            raise UserError(f"{path}: there is no such file or folder: check the path")
    return walk.found


def left_out(skipped: Sequence[Skipped]) -> str:
    """How many by reason, to go on a line with; nothing for none.

    >>> left_out([Skipped("a", "empty"), Skipped("b", "hidden"), Skipped("c", "empty")])
    '; left out 3: 2 empty, 1 hidden'
    """
    if not skipped:
        return ""
    reasons = sorted(Counter(one.reason for one in skipped).items(), key=lambda reason: (-reason[1], reason[0]))
    return f"; left out {len(skipped):,}: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons)


class _Walk:
    """One call of `find_files`. State: what was found, and which folders and files were met."""

    def __init__(self, *, code: bool, hidden: bool, follow_links: bool, largest: int | None) -> None:
        self.found = Found()
        self._code = code
        self._hidden = hidden
        self._follow_links = follow_links
        self._largest = largest
        self._met: set[str] = set()

    def folder(self, path: str, real: str, id_: str, ignored: Ignored, *, first: bool = False) -> None:
        """Walk a folder; a stack of our own, for folders may be nested deeper than Python calls."""
        stack: list[tuple[str, str, str, Ignored, bool]] = [(path, real, id_, ignored, first)]
        while stack:
            path, real, id_, ignored, first = stack.pop()
            if real in self._met:
                self._skip(path, "met before under another name")
                continue
            self._met.add(real)
            entries = self._entries(path)
            names = {entry.name for entry in entries}
            if not first and "pyvenv.cfg" in names:
                self._skip(path, "vendored")
                continue
            ignored = ignored.below(real, names)
            below = [
                (entry.path, inside, f"{id_}/{entry.name}", ignored, False)
                for entry in entries
                if (inside := self._entry(entry, os.path.join(real, entry.name), f"{id_}/{entry.name}", ignored))
            ]
            stack.extend(reversed(below))

    def file(self, path: str, real: str, id_: str, *, named: bool = False) -> None:
        """Take a file or say why not."""
        try:
            seen = os.stat(path)
        except OSError as error:
            return self._skip(path, _why(error))
        kind = kind_of(os.path.basename(path)) or (("text", "") if named else None)
        if real in self._met:
            return self._skip(path, "met before under another name")
        if not stat.S_ISREG(seen.st_mode):
            return self._skip(path, "neither file nor folder")
        if kind is None or not (named or (kind[0] in IN_CODE if self._code else kind[0] != "code")):
            return self._skip(path, "of another kind")
        if not named and is_generated(os.path.basename(path)):
            return self._skip(path, "generated")
        if seen.st_size == 0:
            return self._skip(path, "empty")
        if seen.st_size > (self._largest or LARGEST[kind[0]]):
            return self._skip(path, "too large")
        if not os.access(path, os.R_OK):
            return self._skip(path, "not ours to read")
        self._met.add(real)
        self.found.files.append(
            File(id=id_, path=path, kind=kind[0], language=kind[1], size=seen.st_size, mtime_ns=seen.st_mtime_ns)
        )
        return None

    def _entry(self, entry: os.DirEntry[str], real: str, id_: str, ignored: Ignored) -> str | None:
        """Take a file; for a folder to be walked, return its real path."""
        try:
            is_link = entry.is_symlink()
            is_folder = entry.is_dir()
        except OSError as error:
            return self._skip(entry.path, _why(error))
        if not entry.name.isprintable() and not _is_utf8(entry.name):
            return self._skip(entry.path, "of a name that is not UTF-8")
        if (entry.name.startswith(".") and not self._hidden) or entry.name == ".git":
            return self._skip(entry.path, "hidden")
        if ignored.says(real, is_folder=is_folder and not is_link):
            return self._skip(entry.path, "ignored")
        if is_link:
            if not self._follow_links:
                return self._skip(entry.path, "links")
            real = os.path.realpath(entry.path)
        if not is_folder:
            return self.file(entry.path, real, id_)
        return self._skip(entry.path, "vendored") if is_vendored(entry.name, code=self._code) else real

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._skip(path, _why(error))
            return []

    def _skip(self, path: str, reason: str) -> None:
        self.found.skipped.append(Skipped(path, reason))


def roots_of(paths: Sequence[Path | str | Root]) -> Iterator[Root]:
    """Every path with a name: that of the folder, with as many folders above as tell it from the others."""
    bare = [path for path in paths if not isinstance(path, Root)]
    parts = {os.path.realpath(path): Path(os.path.realpath(path)).parts for path in bare}
    taken: dict[str, str] = {}
    for path in paths:
        if not isinstance(path, Root):
            own = parts[real := os.path.realpath(path)]
            others = [other for place, other in parts.items() if place != real]
            length = next((n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others)), len(own))
            path = Root(path=path, name="/".join(own[-length:]).strip("/") or "root")
        real = os.path.realpath(path.path)
        if taken.setdefault(path.name, real) != real:
            raise UserError(
                f"{os.fspath(path.path)}: the name {path.name!r} is taken by {taken[path.name]}, expected one name for"
                " each folder: name this one otherwise"
            )
        yield path


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "gone while looking"
    return "not ours to read" if isinstance(error, PermissionError) else "unreadable"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
