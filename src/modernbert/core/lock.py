"""One owner of a folder: the process that may write. The system gives the lock back when that process dies, however it does."""

import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from modernbert.core.errors import UnsupportedError, UserError


class InUseError(UserError):
    """Another process owns the folder, or this one has it already."""

    def __init__(self, what: str, holder: str, way_out: str) -> None:
        super().__init__(f"{what} is still in use by {holder}: {way_out}")
        self.holder = holder
        """Which process, and since when."""


class Lock:
    """Held from making until `close`."""

    def __init__(
        self, path: Path, *, what: str | None = None, way_out: str = "let it finish", wait_s: float = 0.0
    ) -> None:
        """Take it, waiting at most so many seconds for another process to let go.

        Args:
            what: is owned, for the sentence that says by whom; absent: the folder.
            way_out: what to do then.

        Raises:
            InUseError: it is held.
        """
        try:
            import fcntl
        except ImportError:
            raise UnsupportedError(
                f"{path.parent}: this system has no file locks of POSIX's kind, so nothing would keep two writers apart: "
                "use WSL, or only read (read_only=True)"
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
                    waited = f", after {wait_s:g} s of waiting" if wait_s else ""
                    raise InUseError(what or str(path.parent), holder + waited, way_out) from None
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
