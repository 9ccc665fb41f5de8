"""From what the user wrote (files, folders, patterns, addresses) to single files, in an order that never changes."""

import glob
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Literal, cast

from fsspec import AbstractFileSystem

from modernbert.core.errors import MissingExtraError, UserError

Format = Literal["json", "parquet", "arrow", "text"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
TABLES = ("parquet", "arrow")
_FORMATS: dict[str, Format] = {
    ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet", ".arrow": "arrow",
    ".txt": "text", ".md": "text",
}  # fmt: skip
_NO_TEXT = (".csv", ".tsv", ".zip", ".tar", ".tgz", ".7z", ".pdf", ".docx", ".html", ".xml", ".db", ".bin", ".npy")
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


@dataclass(frozen=True, slots=True)
class Place:
    """One file, here or in a store."""

    name: str
    """As the user would write it; used in messages and in ids."""
    store: AbstractFileSystem | None = None
    """Absent: a file of this machine."""

    def open(self) -> IO[bytes]:
        """The bytes as stored. Raises UserError when they cannot be had."""
        try:
            if self.store is None:
                return open(self.name, "rb")
            return cast("IO[bytes]", self.store.open(self.name, "rb"))
        except Exception as error:  # every store has errors of its own
            raise _unreadable(self.name, error) from error


def places(paths: Sequence[str]) -> Iterator[Place]:
    """The files behind the paths, in order.

    Raises:
        UserError: a path names nothing, or something that is no document.
    """
    for path in map(os.fspath, paths):
        found = list(_far(path) if "://" in path else _near(path))
        if not found:
            raise UserError(
                f"{path}: found no file to read, expected some ending in {' '.join(_FORMATS)} (or with one of"
                f" {' '.join(COMPRESSED)} after it): check the path, or name the files by a pattern"
            )
        yield from found


def format_of(name: str) -> Format:
    """What the file holds, by its suffix.

    Raises:
        UserError: it is surely no text, or a compressed table.
    """
    suffix, is_compressed = _suffix(name)
    kind = _FORMATS.get(suffix, "text")
    if suffix in _NO_TEXT:
        raise UserError(f"{name}: cannot read {suffix}, expected {' '.join(_FORMATS)} or plain text: convert it first")
    if is_compressed and kind in TABLES:
        raise UserError(f"{name}: a compressed {suffix} cannot be read in parts: unpack it first")
    return kind


def _near(path: str) -> Iterator[Place]:
    if os.path.isdir(path):
        yield from map(Place, _saved_dataset(path) or _known(_walk(path), path))
    elif os.path.exists(path) or not glob.has_magic(path):
        yield Place(path)  # opening it says what is wrong
    else:
        yield from (Place(name) for name in sorted(glob.glob(path, recursive=True)) if os.path.isfile(name))


def _far(path: str) -> Iterator[Place]:
    from fsspec.core import url_to_fs

    try:
        store, inside = url_to_fs(path)
        if glob.has_magic(inside):
            names = cast("list[str]", sorted(name for name in store.glob(inside) if store.isfile(name)))
        elif store.isdir(inside):
            names = _known(sorted(cast("list[str]", store.find(inside))), inside)
        else:
            names = [inside]
    except Exception as error:  # every store has errors of its own
        raise _unreadable(path, error) from error
    for name in names:
        yield Place(cast("str", store.unstrip_protocol(name)), store)


def _walk(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)


def _known(names: Iterator[str] | list[str], root: str) -> list[str]:
    """Those of a folder that hold documents; in the order of their paths, hidden ones left out."""
    start = len(PurePosixPath(root).parts)
    return sorted(
        name
        for name in names
        if _suffix(name)[0] in _FORMATS
        and not any(part.startswith((".", "_")) for part in PurePosixPath(name).parts[start:])
    )


def _saved_dataset(folder: str) -> list[str]:
    """The Arrow files of a folder that `datasets.save_to_disk` wrote, in its order; none for another folder."""
    if os.path.exists(os.path.join(folder, "dataset_dict.json")):
        with open(os.path.join(folder, "dataset_dict.json"), encoding="utf-8") as file:
            splits = json.load(file)["splits"]
        raise UserError(
            f"{folder}: holds several splits, expected one: write {' or '.join(f'{folder}/{s}' for s in splits)}"
        )
    if not os.path.exists(os.path.join(folder, "dataset_info.json")):
        return []
    state_file = os.path.join(folder, "state.json")
    try:
        with open(state_file, encoding="utf-8") as file:
            return [os.path.join(folder, part["filename"]) for part in json.load(file)["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{state_file}: is not what datasets.save_to_disk writes ({error!r}): save the set again, or name its files"
        ) from None


def _suffix(name: str) -> tuple[str, bool]:
    """The suffix in small letters, less one of compression, and whether there was one."""
    path = PurePosixPath(name.lower())
    is_compressed = path.suffix in COMPRESSED
    return (PurePosixPath(path.stem).suffix if is_compressed else path.suffix), is_compressed


def _unreadable(name: str, error: Exception) -> UserError:
    protocol = name.partition("://")[0]
    if isinstance(error, ImportError):
        package = _PACKAGES.get(protocol, f"what fsspec needs for {protocol}://")
        return MissingExtraError(f"{name}: {protocol}:// needs a package that is not installed: pip install {package}")
    if isinstance(error, UserError):
        return error
    if isinstance(error, FileNotFoundError):
        return UserError(f"{name}: there is no such file: check the path")
    what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return UserError(f"{name}: cannot be read ({what}): check the path and your rights")
