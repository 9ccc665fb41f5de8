"""Stores on disk, and whether to believe them: a note beside each says up to which commit it is surely complete.

The note is written after a flush only. Whoever is killed later leaves an old note, and the next owner tells the store again what
came after it; to tell twice does no harm. A store without a note, or one that does not fit its note, is built anew. What
is missing, cut off or does not open is noticed; bytes that changed in place are not, and `Index.rebuild` is the cure.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from modernbert.core.errors import UserError, first_line
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.retrieval.index.bm25 import VERSION, Lexicon
from modernbert.retrieval.index.edge import EdgeStore
from modernbert.retrieval.index.exact import ExactStore
from modernbert.retrieval.index.manifest import Manifest
from modernbert.retrieval.index.server import Server, ServerStore
from modernbert.retrieval.index.store import Store

StoreChoice: TypeAlias = str | Server
"""edge, exact, or a server."""
_STORES, _NOTE, _LEXICON, _SHARD = "stores", "applied.json", "words.npz", "shard"
_LAYOUT = 2
"""Of stores on disk; 1 had tokens as vectors of Qdrant Edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a store was when it was last flushed."""

    commit: int
    count: int
    average_words: float | None
    words: int = VERSION
    layout: int = 1
    place: str = ""
    """Of a server: other collections have other contents."""
    files: dict[str, int] = field(default_factory=dict)
    """Sizes that no file may fall short of: a mapped file that was cut off would end the process, not raise."""


@dataclass(slots=True)
class Opened:
    """A store, the lexicon that goes with it, and up to which commit both are complete."""

    store: Store
    lexicon: Lexicon
    commit: int
    folder: Path | None
    """None: nothing of it is on disk."""
    place: str = ""


def open_store(home: Path, manifest: Manifest, choice: StoreChoice, *, because: str | None = None) -> Opened:
    """The store of an index, as it was left or empty; says so in a line where one had to be given up.

    Args:
        because: why to begin anew whatever is there; an empty reason needs no saying.

    Raises:
        UserError: no such store, its library is not installed, or its server does not answer.
    """
    if choice == "exact":
        return Opened(ExactStore(), Lexicon(), 0, None)
    if choice != "edge" and not isinstance(choice, Server):
        raise UserError(
            f"index: found the store {choice!r}, expected 'edge', 'exact' or a Server(url=..., collection=...)"
        )
    folder = home / _STORES / ("edge" if choice == "edge" else "server")
    place = f"{choice.url} {choice.collection}" if isinstance(choice, Server) else ""

    def make() -> Store:
        settings = manifest.settings
        return (
            ServerStore(choice, settings) if isinstance(choice, Server) else EdgeStore(folder / _SHARD, settings)
        )  # fmt: skip

    problem = because
    if problem is None:
        note, problem = _read_note(folder, manifest, place)
        if note is not None and problem is None:
            opened, problem = _trust(folder, place, note, make)
            if opened is not None:
                return opened
    if manifest.count and problem:
        say(f"{folder}: building the store again from the Parquet parts ({problem})")
    return _fresh(folder, place, make)


def save_note(opened: Opened, manifest: Manifest, files: dict[str, int] | None) -> None:
    """Say that the store is complete; before that, with None, that its files are about to change."""
    if opened.folder is None:
        return
    path = opened.folder / _NOTE
    if files is None:
        if path.exists():
            with_files = json.loads(path.read_text(encoding="utf-8"))
            _write(path, with_files | {"files": {}})
        return
    opened.lexicon.save(opened.folder / _LEXICON)
    note = Note(
        commit=manifest.commit,
        count=manifest.count,
        average_words=manifest.average_words,
        layout=_LAYOUT,
        place=opened.place,
        files=files,
    )
    _write(path, asdict(note))


def _write(path: Path, note: dict[str, object]) -> None:
    with write_atomically(path, "w") as file:
        json.dump(note, file)


def _read_note(folder: Path, manifest: Manifest, place: str) -> tuple[Note | None, str | None]:
    """The note, or why what it belongs to is of no use."""
    try:
        note = Note(**json.loads((folder / _NOTE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None, "it is missing or was never finished"
    except (ValueError, TypeError) as error:
        return None, f"its note is damaged: {error}"
    if note.place != place:
        return None, f"it was sent to {note.place}"
    if note.words != VERSION or note.average_words != manifest.average_words:
        return None, "words are weighed otherwise now"
    if note.layout != _LAYOUT:
        return None, "it is laid out as this version does no more"
    if not manifest.base <= note.commit <= manifest.commit:
        return None, f"it stopped at commit {note.commit}, parts up to {manifest.base} were merged"
    for name, size in note.files.items():
        path = folder / _SHARD / name
        if not path.exists() or path.stat().st_size < size:
            return None, f"{name} is missing or was cut off"
    return note, None


def _trust(folder: Path, place: str, note: Note, make: Callable[[], Store]) -> tuple[Opened | None, str | None]:
    try:
        lexicon = Lexicon.load(folder / _LEXICON)
        return Opened(make(), lexicon, note.commit, folder, place), None
    except (UserError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 - Edge's panics are BaseExceptions; numpy's and zipfile's differ, too
        return None, f"it cannot be read: {first_line(error)}"


def _fresh(folder: Path, place: str, make: Callable[[], Store]) -> Opened:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = make()
    if isinstance(store, ServerStore):
        store.clear()
        store.close()
        store = make()
    return Opened(store, Lexicon(), 0, folder, place)
