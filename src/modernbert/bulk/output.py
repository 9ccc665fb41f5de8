"""The folder of a job, here or in a store. Every file in it is whole or not there.

    NAME.parquet           annotations of the input file NAME, a row for each of its rows that can be read
    _done/NAME.json        its sidecar, written last: what has one is finished
    _quarantine/NAME.jsonl its rows that cannot be read, and why
    _job.json              the recipe that all of it follows

Names with an underscore are passed over by every reader of a folder of tables.
"""

import json
import os
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import IO

from modernbert.bulk.config import Recipe
from modernbert.bulk.sidecar import Sidecar
from modernbert.core.errors import ConfigError, UserError
from modernbert.core.files import UNFINISHED, write_atomically

_JOB = "_job.json"
_DONE = "_done/"
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Stores without folders, in which to make one would make the bucket of a name that was mistyped."""
_AT_ONCE = 32
"""Sidecars that are read together."""


class OutputError(UserError):
    """Nothing can be written there, so going on makes no sense."""


def table_name(name: str) -> str:
    """Of the annotations of an input file."""
    return name if name.endswith(".parquet") else f"{name}.parquet"


def sidecar_name(name: str) -> str:
    """Of its sidecar."""
    return f"{_DONE}{name}.json"


def quarantine_name(name: str) -> str:
    """Of its rows that cannot be read."""
    return f"_quarantine/{name}.jsonl"


def hash_of(recipe: Recipe) -> str:
    """One for all that decides what is written."""
    return sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()


class Output:
    """A folder to write to; it may be sent to another process."""

    def __init__(self, root: str) -> None:
        """Nothing is made before something is written.

        Raises:
            UserError: the address is of a store that cannot be reached, or its package is not installed.
        """
        self.root = root.rstrip("/")
        self._store, self._folder = _store_of(self.root)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, or one that is mounted like it."""
        return self._store is None

    def names(self) -> set[str]:
        """All files in it, without what killed processes left behind."""
        with self._told():
            if self._store is not None:
                self._store.invalidate_cache()
                found = self._store.find(self._folder) if self._store.exists(self._folder) else []
                return {name.removeprefix(self._folder).lstrip("/") for name in map(str, found)}
            top = Path(self._folder)
            whole = (path for path in top.rglob("*") if path.is_file() and not path.name.startswith(UNFINISHED))
            return {path.relative_to(top).as_posix() for path in whole}

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self._told():
            return (
                Path(self._path(name)).read_bytes() if self._store is None else self._store.cat_file(self._path(name))
            )

    def open(self, name: str) -> IO[bytes]:
        """A file to read from."""
        with self._told():
            return open(self._path(name), "rb") if self._store is None else self._store.open(self._path(name), "rb")

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        """A file that has its name when the block ends well.

        In a store it is put there as a whole, from a temporary file of this machine.

        Raises:
            OutputError: there is no room, or no right to write.
        """
        if self._store is None:
            with self._told(), write_atomically(self._path(name)) as file:
                yield file
            return
        with tempfile.NamedTemporaryFile(prefix="annotate-") as file:
            yield file  # type: ignore[misc]
            file.flush()
            with self._told():
                if self.root.partition("://")[0] not in _BUCKETS:
                    self._store.makedirs(os.path.dirname(self._path(name)), exist_ok=True)
                self._store.put_file(file.name, self._path(name))

    def remove(self, name: str) -> None:
        """Without a word where it is not there."""
        with self._told():
            if self._store is None:
                Path(self._path(name)).unlink(missing_ok=True)
            elif self._store.exists(self._path(name)):
                self._store.rm_file(self._path(name))

    def clean(self) -> None:
        """Remove what killed processes left behind."""
        if self._store is None:
            for path in Path(self._folder).rglob(f"{UNFINISHED}*"):
                path.unlink(missing_ok=True)

    def claim(self, recipe: Recipe) -> None:
        """From now on the folder belongs to this recipe.

        Raises:
            ConfigError: it belongs to another already; the sentence says what differs.
        """
        names = self.names()
        if _JOB not in names:
            if strange := sorted(name for name in names if not Path(name).name.startswith((".", "_lock"))):
                raise UserError(
                    f"{self.root} holds {strange[0]} and no job: expected a new folder, or one of annotate: choose another"
                )
            with self.write(_JOB) as file:
                file.write((json.dumps(asdict(recipe), indent=2) + "\n").encode())
            return
        before, now = json.loads(self.read(_JOB)), json.loads(json.dumps(asdict(recipe)))
        if changed := [
            f"{key} ({_told(before.get(key))} there, {_told(now.get(key))} here)"
            for key in dict.fromkeys([*before, *now])
            if before.get(key) != now.get(key)
        ]:
            raise ConfigError(
                f"{self.root} holds annotations of another recipe, which differs in {', '.join(changed)}: annotate into "
                "another folder, or go on with the recipe (and the model) that it began with"
            )

    def finished(self, names: Collection[str]) -> dict[str, Sidecar]:
        """Sidecars of those input files that are done."""
        there = self.names()
        done = [name for name in names if {sidecar_name(name), table_name(name)} <= there]
        return dict(zip(done, self._sidecars([sidecar_name(name) for name in done]), strict=True))

    def sidecars(self) -> list[Sidecar]:
        """Of all that is done."""
        return self._sidecars(sorted(name for name in self.names() if name.startswith(_DONE)))

    def _sidecars(self, names: list[str]) -> list[Sidecar]:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            contents = list(threads.map(self.read, names))
        return [Sidecar.of(content, f"{self.root}/{name}") for name, content in zip(names, contents, strict=True)]

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if self._store is None and not isinstance(error, OSError):
                raise
            what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            raise OutputError(
                f"{self.root} cannot be written to or read ({what}): make room, or check your rights and credentials, and "
                "run again; what is finished is kept"
            ) from error


def _told(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    return [f"{each['source']} {each['fingerprint'][:12]}" if isinstance(each, dict) else each for each in value]


def _store_of(root: str):  # noqa: ANN202  (fsspec has no types)
    if "://" not in root:
        return None, root
    from fsspec.core import url_to_fs

    protocol = root.partition("://")[0]
    try:
        return url_to_fs(root)
    except Exception as error:  # every store has errors of its own
        raise UserError(
            f"{root}: {protocol}:// cannot be opened ({type(error).__name__}: {error}): install its package, as pip install "
            "s3fs or gcsfs, and check your credentials"
        ) from error
