"""One owner of an index: the process that may write. The system gives the lock back when that process dies, however it does."""

import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from modernbert.core.errors import UnsupportedError, UserError


class InUseError(UserError):
    """Another process, or another `Index` of this one, owns the folder."""


class Lock:
    """Held from making until `close`."""

    def __init__(self, path: Path, *, wait_s: float = 0.0) -> None:
        """Take it, waiting at most so many seconds for another process to let go.

        Raises:
            InUseError: another process, or another `Index` of this one, holds it; the sentence says which, since when.
        """
        try:
            import fcntl
        except ImportError:
            raise UnsupportedError(
                f"{path.parent}: this system has no file locks of POSIX's kind, so nothing would keep two writers apart: "
                "use WSL, or open the index with read_only=True"
            ) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = _describe(self._file)
                    os.close(self._file)
                    waited = f" after {wait_s:g} s" if wait_s else ""
                    raise InUseError(
                        f"{path.parent}: the index is still in use{waited} by {holder}: let it finish, wait longer with "
                        "wait_s, or open it with read_only=True"
                    ) from None
                time.sleep(0.05)
        note = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().isoformat(" ", "seconds")}
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(note).encode(), 0)

    def close(self) -> None:
        """Let go; a second time does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _describe(file: int) -> str:
    try:
        note = json.loads(os.pread(file, 1000, 0))
        return f"process {note['pid']} on {note['host']} since {note['since']}"
    except (json.JSONDecodeError, KeyError):
        return "another process"  # which has the lock and is about to write who it is
