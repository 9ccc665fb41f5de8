"""Token vectors of an index's texts, one after another in files that only grow: what MaxSim reads for a hundred candidates.

A place says in which file a text's rows are, and where. What a text had before it changed stays, unread, until most rows are
such; then those that count are written again into the next file, and the old ones retire: they go with the flush after that, so that who
is searching meanwhile still finds them. Rows are float16. Nothing here is the truth: that is in the Parquet parts, and whoever is
killed has the store told again what came after its last flush.

Shapes:  T tokens   P their width   S tokens of several texts
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16

from modernbert.core.files import write_json

_SUFFIX, _STATE = ".f16", "state.json"
_FEW = 100_000
"""Rows that are not worth writing again."""


class Place(NamedTuple):
    """Where a text's rows are."""

    file: int
    start: int
    rows: int


class TokenFiles:
    """The files of a folder."""

    def __init__(self, folder: Path, width: int) -> None:
        """Open what is there, or begin."""
        folder.mkdir(exist_ok=True)
        self._folder, self._width = folder, width
        state = json.loads(path.read_text()) if (path := folder / _STATE).exists() else {}
        self._first, self._dead = state.get("first", 0), state.get("dead", 0)
        self._last = max((int(path.stem) for path in folder.glob(f"*{_SUFFIX}")), default=self._first)
        self._maps: dict[int, np.ndarray] = {}
        if (path := self._path(self._last)).exists():  # who was killed may have left half a row
            os.truncate(path, path.stat().st_size // (2 * width) * (2 * width))

    def append(self, arrays: Sequence[Float16[np.ndarray, "T P"]]) -> list[Place]:
        """Keep these; they are on disk after `flush`."""
        with open(self._path(self._last), "ab") as file:
            start = file.tell() // (2 * self._width)
            places = []
            for array in arrays:
                file.write(np.ascontiguousarray(array, dtype="<f2").data)
                places.append(Place(self._last, start, len(array)))
                start += len(array)
        return places

    def read(self, places: Sequence[Place]) -> Float16[np.ndarray, "S P"]:
        """The rows of these places, in their order."""
        return np.concatenate([self._map(place)[place.start : place.start + place.rows] for place in places])

    def forget(self, places: Sequence[Place]) -> None:
        """These count no more."""
        self._dead += sum(place.rows for place in places)

    @property
    def is_worn(self) -> bool:
        """Whether most rows count no more."""
        total = sum(path.stat().st_size for path in self._paths()) // (2 * self._width)
        return self._dead > max(_FEW, total / 2)

    def begin_next(self) -> int:
        """Append to a new file from now on; returns its number."""
        self._last += 1
        return self._last

    def retire_before(self, number: int) -> None:
        """Nothing in older files counts."""
        self._first, self._dead = number, 0

    def drop_retired(self) -> None:
        """Delete what was retired before."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if int(path.stem) < self._first:
                self._maps.pop(int(path.stem), None)
                path.unlink()

    def flush(self) -> list[Path]:
        """Get everything to disk; returns the files that count."""
        paths = self._paths()
        for path in paths[-1:]:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        write_json(self._folder / _STATE, {"first": self._first, "dead": self._dead})
        return paths

    def _map(self, place: Place) -> np.ndarray:
        end = place.start + place.rows
        found = self._maps.get(place.file)
        if found is None or len(found) < end:
            path = self._path(place.file)
            rows = path.stat().st_size // (2 * self._width)  # the last one may be half written
            if rows < end:
                raise ValueError(f"{path} has {rows:,} rows, expected {end:,}")
            found = np.memmap(path, dtype="<f2", mode="r", shape=(rows, self._width))
            self._maps[place.file] = found
        return found

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}{_SUFFIX}"

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if int(path.stem) >= self._first)
