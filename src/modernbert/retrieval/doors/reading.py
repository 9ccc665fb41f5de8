"""Lines of a file of an index, for a reader who must not see any other file."""

import os
from dataclasses import dataclass
from pathlib import Path

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.decode import decode
from modernbert.retrieval.documents.find import find_files, roots_of
from modernbert.retrieval.documents.read import read
from modernbert.retrieval.documents.snapshot import Snapshot
from modernbert.retrieval.search.choices import SNAPSHOT
from modernbert.retrieval.searcher import Searcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some lines of a file."""

    path: str
    first_line: int
    """From 1."""
    lines: tuple[str, ...]
    num_lines: int
    """Of the whole file."""


def paths_in(searcher: Searcher, path: str) -> list[str]:
    """The files of the index that a path names: in full, as its id, or from one of the roots; compared letter by letter."""
    files = Snapshot.load(searcher.folder / SNAPSHOT).files
    found = []
    for root in roots_of(searcher.choices.paths):
        whole = os.path.realpath(root.path)
        for inside in _insides(path, whole, root.name):
            seen = files.get(f"{root.name}/{inside}" if inside else root.name)
            if seen is not None and (seen.chunks or seen.perhaps):
                found.append(os.path.join(whole, inside) if inside else whole)
    return list(dict.fromkeys(found))


def read_lines(path: str, first_line: int, last_line: int, *, room: int) -> Lines:
    """These lines, as many as fit into so many characters and at least one; of HTML and PDF, of what is shown.

    Args:
        path: as `paths_in` gives it.

    Raises:
        UserError: the file has no such lines, is gone, or has become a link.
    """
    if os.path.realpath(path) != path:
        raise UserError(f"{path}: leads somewhere else since it was indexed, hence not read: refresh the index")
    rows = _text(path).removesuffix("\n").split("\n")
    if not 1 <= first_line <= len(rows) or last_line < first_line:
        raise UserError(
            f"{path}: has {len(rows):,} lines: found lines {first_line}-{last_line}, expected some of these"
        )
    shown: list[str] = []
    for row in rows[first_line - 1 : last_line]:
        room -= len(row) + 1
        if room < 0 and shown:
            break
        shown.append(row)
    return Lines(path=path, first_line=first_line, lines=tuple(shown), num_lines=len(rows))


def _insides(path: str, whole: str, name: str) -> list[str]:
    """What the path may be, as seen from a root: in full, with the root's name before it, or bare; empty is the root."""
    insides = [path] if path else []
    for before in (whole, name):
        if path == before:
            insides.append("")
        elif path.startswith(f"{before}/"):
            insides.append(path[len(before) + 1 :])
    return insides


def _text(path: str) -> str:
    """As documents have it, so that lines are those of citations; of JSONL as it is written."""
    files = find_files([path]).files
    if files and files[0].kind == "jsonl":
        return decode(Path(path).read_bytes(), path, kind="jsonl").text
    return read(files[0] if files else path).documents[0].text
