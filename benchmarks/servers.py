"""Servers to be measured, each a process of its own: started, waited for, held still while another has its turn, and stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One that runs."""

    name: str
    port: int
    pid: int

    def pause(self) -> None:
        """Hold it still."""
        os.kill(self.pid, signal.SIGSTOP)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let it go on while its turn lasts."""
        os.kill(self.pid, signal.SIGCONT)
        try:
            yield
        finally:
            self.pause()

    @property
    def memory(self) -> float:
        """MB that it holds (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    ready: str = "/health",
    environment: Mapping[str, str] | None = None,
    patience: float = 600.0,
) -> Iterator[Server]:
    """Run this command, to which `--port PORT` is added, until the end; what it says goes to the log.

    Args:
        ready: answered with 200 when it is.

    Raises:
        RuntimeError: it ends, or is not ready in time; the sentence has the end of its log.
    """
    port = _free_port()
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [*command, "--port", str(port)], stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        ) as process,
    ):  # fmt: skip
        try:
            _wait(f"http://127.0.0.1:{port}{ready}", process, name, log, patience)
            yield Server(name=name, port=port, pid=process.pid)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def ours(folder: Path, *flags: str) -> list[str]:
    """`modernbert serve` of this folder."""
    return [sys.executable, "-m", "modernbert.cli.main", "serve", f"model={folder}", *flags]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait(url: str, process: subprocess.Popen, name: str, log: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > end:
            told = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{name} did not start:\n{told}")
        time.sleep(0.1)
