"""What the files were when they were last read, so that only what changed is read again.

A file of the same time and size is taken for unchanged, without opening it; if either differs, its bytes decide. A file
written within the clock's grain of being read might have changed once more under the same time, so its time is not trusted
(git's "racy" entries).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import time_ns
from typing import Any, Self

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.retrieval.documents.document import UnreadableError
from modernbert.retrieval.documents.find import File
from modernbert.retrieval.documents.read import content_of

FORMAT = 1
GRAIN_NS = 2_000_000_000
"""How coarse a file system's clock may be: two seconds on FAT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A file as it was read."""

    mtime_ns: int
    size: int
    content: str
    """Hash of its bytes; empty for one whose bytes could not be had."""
    read_ns: int
    chunks: tuple[str, ...] = ()
    """The ids of its chunks that are surely in the index."""
    perhaps: tuple[str, ...] = ()
    """Of a file whose step was begun and not done: all ids that may be in the index, those of `chunks` too."""
    reason: str = ""
    """Why it gave none: see `UnreadableError`."""

    def is_surely(self, file: File) -> bool:
        """Whether the file is as it was, as far as `stat` can tell."""
        return (self.mtime_ns, self.size) == (file.mtime_ns, file.size) and self.mtime_ns + GRAIN_NS < self.read_ns


@dataclass(slots=True)
class Snapshot:
    """All files of an index. It grows as files are read, and is saved when their chunks are safe."""

    version: str = ""
    """How they were cut: `Chunking.version`, and whatever else decides what a file gives."""
    files: dict[str, Seen] = field(default_factory=dict)
    """By id."""

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """As saved; empty where there is none yet.

        Raises:
            UserError: the file is damaged, or of a later version of this program.
        """
        try:
            with open(path, encoding="utf-8") as file:
                saved = json.load(file)
            if saved["format"] != FORMAT:
                raise UserError(
                    f"{path}: found format {saved['format']}, expected {FORMAT}: delete it, and all files are read anew"
                )
            files = {id_: _seen(**seen) for id_, seen in saved["files"].items()}
            return cls(version=saved["version"], files=files)
        except FileNotFoundError:
            return cls()
        except UserError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: is damaged ({error!r}): delete it, and all files are read anew") from None

    def save(self, path: Path | str) -> None:
        """Wholly or not at all."""
        files = {id_: asdict(seen) for id_, seen in self.files.items()}
        with write_atomically(path, "w") as file:
            json.dump({"format": FORMAT, "version": self.version, "files": files}, file, separators=(",", ":"))


@dataclass(slots=True)
class Changes:
    """How files differ from a snapshot."""

    added: list[File] = field(default_factory=list)
    changed: list[File] = field(default_factory=list)
    moved: list[tuple[str, File]] = field(default_factory=list)
    """(the old id, the file), of equal bytes."""
    removed: list[str] = field(default_factory=list)
    """Ids. One that moved is not among them."""
    same: list[File] = field(default_factory=list)
    touched: dict[str, Seen] = field(default_factory=dict)
    """Of the same: those whose bytes had to be asked, as the snapshot should have them from now on."""

    def report(self) -> str:
        """One line.

        >>> Changes(removed=["a"]).report()
        '0 added, 0 changed, 0 moved, 1 removed, 0 as they were'
        """
        parts = (self.added, self.changed, self.moved, self.removed, self.same)
        names = ("added", "changed", "moved", "removed", "as they were")
        return ", ".join(f"{len(part):,} {name}" for part, name in zip(parts, names, strict=True))


def changes(snapshot: Snapshot, files: Iterable[File], *, version: str | None = None) -> Changes:
    """Compare. Bytes are read only of files whose time or size differ, or that may be one which moved.

    Args:
        version: absent: the snapshot's own; another one makes every known file a changed one.
    """
    found = Changes()
    here: set[str] = set()
    is_outdated = version is not None and version != snapshot.version
    for file in files:
        here.add(file.id)
        seen = snapshot.files.get(file.id)
        if seen is None:
            found.added.append(file)
        elif is_outdated:
            found.changed.append(file)
        elif seen.is_surely(file):
            found.same.append(file)
        elif renewed := _renewed(seen, file):
            found.same.append(file)
            found.touched[file.id] = renewed
        else:
            found.changed.append(file)
    found.removed = [id_ for id_ in snapshot.files if id_ not in here]
    if found.removed and not is_outdated:
        _find_moved(snapshot, found)
    return found


def _seen(*, chunks: list[str], perhaps: list[str], **rest: Any) -> Seen:
    return Seen(chunks=tuple(chunks), perhaps=tuple(perhaps), **rest)


def _renewed(seen: Seen, file: File) -> Seen | None:
    """What is to be known of a file that has the same bytes; `None` if it has not."""
    if seen.size != file.size:
        return None
    read_ns = time_ns()
    if not seen.content or _content(file) != seen.content:
        return None
    return Seen(
        mtime_ns=file.mtime_ns, size=file.size, content=seen.content, read_ns=read_ns, chunks=seen.chunks,
        reason=seen.reason,
    )  # fmt: skip


def _find_moved(snapshot: Snapshot, found: Changes) -> None:
    sizes = {snapshot.files[id_].size for id_ in found.removed}
    gone: dict[str, list[str]] = {}
    for id_ in found.removed:
        if content := snapshot.files[id_].content:
            gone.setdefault(content, []).append(id_)
    added, moved_from = list[File](), set[str]()
    for file in found.added:
        same = gone.get(_content(file)) if file.size in sizes else None
        if same:
            moved_from.add(same[0])
            found.moved.append((same.pop(0), file))
        else:
            added.append(file)
    found.added = added
    found.removed = [id_ for id_ in found.removed if id_ not in moved_from]


def _content(file: File) -> str:
    try:
        return content_of(file)
    except UnreadableError:
        return ""  # reading it says why
