"""The parent's end of a worker process: ask, wait for the answer, and tell a loss in words."""

import contextlib
import json
import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modernbert.bench.backends import Backend
from modernbert.bench.rivals import Rival


class LostError(RuntimeError):
    """The worker failed or died; the message says how, for a table."""


class Contender:
    """One model on one backend, in a process of its own; ends with the `with` block."""

    def __init__(self, rival: Rival, backend: Backend, *, exports: Path, log: Path) -> None:
        self.rival, self.backend, self._exports, self._log = rival, backend, exports, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modernbert.bench._worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"PYTHONWARNINGS": "default"},  # other people's warnings belong in the log
                text=True,
                encoding="utf-8",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def export(self) -> None:
        """Write the files that the backend reads."""
        self.ask(
            "export",
            model=self.rival.model,
            size=self.rival.size,
            backend_name=self.backend.name,
            exports=str(self._exports),
        )

    def load(self, *, device: str, threads: int) -> dict[str, Any]:
        """Make the model; answers "seconds" and "bytes"."""
        return self.ask(
            "load",
            model=self.rival.model,
            size=self.rival.size,
            backend_name=self.backend.name,
            exports=str(self._exports),
            device=device,
            threads=threads,
            longest=self.rival.longest,
        )

    def ask(self, what: str, **details: object) -> dict[str, Any]:
        """One request, one answer.

        Raises:
            LostError: the worker could not do it, or is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **details}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LostError(self._epitaph())
        answer = json.loads(line)
        if "error" in answer:
            raise LostError(answer["error"])
        return answer

    def _epitaph(self) -> str:
        code = self._process.wait()
        if code == -9:
            return "killed, most likely for memory"
        with self._log.open(encoding="utf-8", errors="replace") as lines:
            last = "".join(deque(lines, maxlen=1)).strip()
        return f"ended with code {code}: {last[:200]}"
