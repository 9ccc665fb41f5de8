"""Files and folders which are either wholly there or not there at all, and their fingerprints.

Everything a run leaves behind goes through here, so that a crash, a full disk or a power cut never leaves half a
checkpoint under a good name. Not for logs: those grow line by line.

A process killed without a chance to clean up leaves its unfinished work beside the target, under a name that starts
with `.unfinished-`; it is never read, and may be deleted.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Literal, overload

UNFINISHED = ".unfinished-"
"""How names begin of what is being written."""


@overload
def write_atomically(path: Path | str, mode: Literal["wb"] = "wb") -> AbstractContextManager[IO[bytes]]: ...
@overload
def write_atomically(path: Path | str, mode: Literal["w"]) -> AbstractContextManager[IO[str]]: ...
@contextmanager
def write_atomically(path: Path | str, mode: Literal["wb", "w"] = "wb") -> Iterator[IO[bytes] | IO[str]]:
    r"""Open a file which appears under its name only when the block ends well; the old one stays until then.

    Text is UTF-8 with `\n` line ends on every system. Missing parent folders are made, links are followed, and the
    permissions of a file that is replaced are kept.
    """
    target = Path(path).resolve()  # writing through a link writes the file behind it, as open() would
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _sibling(target, UNFINISHED)
    try:
        with open(unfinished, "xb") if mode == "wb" else open(unfinished, "x", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def write_json(path: Path | str, content: object) -> None:
    """As people read it: two spaces to a level, letters as they are, a line's end at the end."""
    with write_atomically(path, "w") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Fill a temporary sibling folder, which takes the name `path` only when the block ends well.

    An existing folder is replaced as a whole: nothing of it survives. No system call swaps two folders everywhere, so
    for an instant between two renames neither has the name; a machine that dies just then leaves the old one beside it
    as `.replaced-*` and the new one as `.unfinished-*`, both whole.

    Raises:
        NotADirectoryError: `path` is a file.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(
            f"{path}: found a file, expected a folder or nothing; move it away or choose another name"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _sibling(target, UNFINISHED)
    try:
        unfinished.mkdir()
        yield unfinished
        for inside in (*unfinished.rglob("*"), unfinished):
            _sync(inside)
        replaced = _swap(unfinished, target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)  # the first failure is the one to report
        raise
    _sync(target.parent)
    if replaced is not None:
        shutil.rmtree(replaced)


def content_hash(path: Path | str) -> str:
    """The sha256 of a file (as `sha256sum` prints it), or of a folder's file names and contents, in hexadecimal.

    The same folder gives the same hash on every machine: times, permissions, order and empty folders do not count.
    Links to files count as the files; links to folders are not followed.
    """
    path = Path(path)
    if not path.is_dir():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for name in sorted(
        os.fsencode(inside.relative_to(path).as_posix()) for inside in path.rglob("*") if _is_file(inside)
    ):
        whole.update(b"%d:%b:" % (len(name), name))  # the length keeps a name from running into a hash
        whole.update(bytes.fromhex(content_hash(path / os.fsdecode(name))))
    return whole.hexdigest()


def _sibling(target: Path, beginning: str) -> Path:
    """A free name in the same folder, hence on the same disk: a rename across disks would be a copy."""
    return target.with_name(f"{beginning}{secrets.token_hex(4)}-{target.name[:64]}")


def _swap(new: Path, target: Path) -> Path | None:
    """Give `new` the name `target`; return where the old one went, if there was one."""
    if not target.exists():
        os.rename(new, target)
        return None
    replaced = _sibling(target, ".replaced-")
    os.rename(target, replaced)
    try:
        os.rename(new, target)
    except BaseException:
        os.rename(replaced, target)
        raise
    return replaced


def _sync(path: Path) -> None:
    """Wait until the disk has it: a rename may otherwise outlive a power cut that the contents do not."""
    if os.name == "nt":  # Windows syncs neither folders nor files opened for reading
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_file(path: Path) -> bool:
    return not path.is_dir()  # a dangling link counts: opening it says what is wrong
