"""The truth of an index: Parquet parts, read in order, the last word on an id being what counts.

A commit is one new part and then a manifest that names it. Who is killed between the two leaves a part that nobody names; the
next owner deletes it. Readers need no lock: parts never change, and the manifest is replaced as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from modernbert.core.errors import UserError
from modernbert.retrieval.index.bm25 import words
from modernbert.retrieval.index.manifest import Manifest
from modernbert.retrieval.index.parts import Keys, read_entries, read_keys, read_texts, write_part
from modernbert.retrieval.index.record import Entry

PARTS = "parts"
_FEW = 8
"""Parts that are worth merging."""

Place = int
"""Part << 32 | row: a million of them in a dictionary are half as large as tuples."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a store that stopped at an older commit lacks."""

    put: list[Place]
    gone: list[str]
    retired: list[Place]
    """Where the entries are that the store has and that count no more."""


class Ledger:
    """The parts of one index; only the owner may call what writes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder / PARTS
        self.manifest = manifest
        self._home = folder
        self._keys: list[Keys] | None = None
        self._live: dict[str, Place] = {}

    @property
    def live(self) -> dict[str, Place]:
        """Where each id's last word is, in the order of the last words. Read from disk when first asked for."""
        if self._keys is None:
            self._keys = [read_keys(self.folder, part) for part in self.manifest.parts]
            self._live = {}
            for number, keys in enumerate(self._keys):
                _replay(self._live, number, keys)
        return self._live

    def hash(self, place: Place) -> bytes:
        """Of the content there."""
        assert self._keys is not None
        row = place & 0xFFFFFFFF
        return self._keys[place >> 32].hashes[16 * row : 16 * row + 16]

    def commit(self, entries: Sequence[Entry], removed: Sequence[str]) -> None:
        """Keep these entries and forget those ids: on disk when this returns, all of it or, after a fault, nothing.

        Raises:
            UserError: the disk is full or cannot be written.
        """
        live, number = self.live, self.manifest.commit + 1
        average = self.manifest.average_words or _average([entry.text for entry in entries])
        count = len(live) + sum(entry.id not in live for entry in entries) - len(removed)
        try:
            part = write_part(
                self.folder, f"{number:08d}.parquet", self.manifest.settings, [(entries, removed)], number
            )
            manifest = self.manifest.next(part, count=count, average_words=average)
            manifest.save(self._home)
        except OSError as error:
            raise UserError(
                f"{self._home}: could not write ({error.strerror or error}), and kept nothing of this batch; what was there "
                "before is safe: make room, and add it again"
            ) from error
        self.manifest = manifest
        hashes = b"".join([*(entry.hash for entry in entries), *[bytes(16)] * len(removed)])
        flags = np.repeat([False, True], [len(entries), len(removed)])
        keys = Keys([*(entry.id for entry in entries), *removed], flags, hashes)
        assert self._keys is not None
        self._keys.append(keys)
        _replay(live, len(self._keys) - 1, keys)

    def changes(self, since: int) -> Changes:
        """What happened after that commit, which is 0 or not before the manifest's base."""
        live = self.live
        if since == 0:
            return Changes(put=list(live.values()), gone=[], retired=[])
        assert self._keys is not None
        before: dict[str, Place] = {}
        touched: dict[str, None] = {}
        for number, (part, keys) in enumerate(zip(self.manifest.parts, self._keys, strict=True)):
            if part.commit <= since:
                _replay(before, number, keys)
            else:
                touched.update(dict.fromkeys(keys.ids))
        return Changes(
            put=[live[id_] for id_ in touched if id_ in live],
            gone=[id_ for id_ in touched if id_ not in live],
            retired=[before[id_] for id_ in touched if id_ in before],
        )

    def entries(self, places: Sequence[Place]) -> Iterator[list[Entry]]:
        """What is kept there, some at a time, in the order of places."""
        for number, rows in _by_part(places):
            yield from read_entries(self.folder, self.manifest.parts[number], self.manifest.settings, rows)

    def texts(self, places: Sequence[Place]) -> Iterator[list[str]]:
        """Only the texts, in the order of places."""
        for number, rows in _by_part(places):
            yield from read_texts(self.folder, self.manifest.parts[number], rows)

    def measure(self) -> None:
        """Set the average length anew, from every text; a store that was built with another must be built again."""
        total = sum(len(words(text)) for texts in self.texts(list(self.live.values())) for text in texts)
        average = max(1.0, total / len(self.live)) if self.live else None
        self.manifest = replace(self.manifest, average_words=average)
        self.manifest.save(self._home)

    def compact(self, *, wholly: bool = False) -> None:
        """Merge the last parts where they have become many, or all of them where most rows are dead.

        Each row is rewritten about as often as the number of rows has doubled.
        """
        live, parts = self.live, self.manifest.parts
        is_waste = sum(part.rows for part in parts) > 2 * len(live) + 1000
        start = 0 if wholly or is_waste else _tail([part.rows for part in parts])
        if len(parts) - start < (2 if wholly or is_waste else _FEW):
            return
        commit = self.manifest.commit
        name = f"{start:08d}-{commit:08d}.parquet"
        merged = write_part(self.folder, name, self.manifest.settings, self._kept(start), commit)
        self.manifest = replace(self.manifest, parts=(*parts[:start], merged), base=commit)
        self.manifest.save(self._home)
        self._keys = None
        self.clean()

    def clean(self) -> None:
        """Delete what no manifest names: left by a merge or by an owner that was killed."""
        if not self.folder.is_dir():
            return
        named = {part.name for part in self.manifest.parts}
        for path in self.folder.iterdir():
            if path.name not in named:
                path.unlink()

    def _kept(self, start: int) -> Iterator[tuple[list[Entry], list[str]]]:
        """Of the parts from `start` on: entries that count, and tombstones of ids that earlier parts may hold."""
        live = self.live
        places = [place for place in live.values() if place >> 32 >= start]
        for entries in self.entries(places):
            yield entries, []
        assert self._keys is not None
        if start:
            later = self._keys[start:]
            gone = {id_ for keys in later for id_, removed in zip(keys.ids, keys.removed, strict=True) if removed}
            yield [], sorted(gone - live.keys())


def _replay(live: dict[str, Place], number: int, keys: Keys) -> None:
    for row, (id_, removed) in enumerate(zip(keys.ids, keys.removed.tolist(), strict=True)):
        live.pop(id_, None)  # so that the order is that of the last words
        if not removed:
            live[id_] = number << 32 | row


def _by_part(places: Sequence[Place]) -> Iterator[tuple[int, list[int]]]:
    for number, group in groupby(sorted(places), key=lambda place: place >> 32):
        yield number, [place & 0xFFFFFFFF for place in group]


def _average(texts: Sequence[str]) -> float | None:
    return max(1.0, sum(len(words(text)) for text in texts) / len(texts)) if texts else None


def _tail(rows: Sequence[int]) -> int:
    """Where the last parts begin of which none is much larger than all after it."""
    start = len(rows)
    total = 0
    while start and rows[start - 1] <= 2 * max(total, 1):
        start -= 1
        total += rows[start]
    return start
