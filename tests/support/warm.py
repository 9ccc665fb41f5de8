"""A Python that begins where others have imported torch: each program is forked from a process that has.

    subprocess.run([warm_python(), "-m", "modernbert.cli.main", "doctor"])

The program is a process of its own, with its own words, environment, folder, pipes and exit code, and ends when whoever asked for
it ends; it only skips the seconds of importing. That a program also starts from nothing is for tests that use `sys.executable`.
One such process, the nursery, serves the whole run of the suite. Where there can be none (it takes Linux), it is `sys.executable`.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

READ_AT_START = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What libraries look up when they are imported. One thread, as in conftest: with more, a busy neighbour costs minutes."""

_kept: list[socket.socket] = []
_started: list[subprocess.Popen[bytes]] = []


@lru_cache
def warm_python(*modules: str) -> str:
    """Path of an executable that is used as `python` is, with `-m`, `-c` or a script; torch and `modules` are imported already."""
    if not hasattr(os, "pidfd_open"):
        return sys.executable
    from support.shared_run import alone, shared_folder

    door = shared_folder() / "nursery"
    with alone("nursery"):
        if not _kept:
            _kept.append(_keeper(door))
        python = shared_folder() / "-".join(("python", *modules))
        words = [sys.executable, "-ISE", __file__, str(door), json.dumps(modules)]
        if not python.exists():  # another worker may be running it, and what runs cannot be written
            python.write_text(f'#!/bin/sh\nexec {" ".join(repr(word) for word in words)} "$@"\n')
            python.chmod(0o755)
    return str(python)


def _keeper(door: Path) -> socket.socket:
    """A line to the nursery, which lives as long as anybody has one; it is started where there is none."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        line.connect(str(door))
    except OSError:
        door.unlink(missing_ok=True)
        words = [sys.executable, __file__, str(door)]
        started = subprocess.Popen(
            words, env=os.environ | READ_AT_START, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert started.stdout
        assert started.stdout.readline() == b"ready\n", "the nursery did not start"
        started.stdout.close()
        _started.append(started)
        line.connect(str(door))
    return line


def _serve(path: str) -> None:
    """Fork for whoever asks, as long as anybody has a line to here."""
    importlib.import_module("torch")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for children
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(path)
        door.listen(64)
        os.write(1, b"ready\n")
        lines: list[socket.socket] = []
        while True:
            for line in select.select([door, *lines], [], [])[0]:
                if line is door:
                    lines.append(door.accept()[0])
                    continue
                lines.remove(line)
                request, pipes, _, _ = socket.recv_fds(line, 1 << 20, 3)
                if request:
                    _fork(json.loads(request), pipes, line, (door, *lines))
                line.close()
                for pipe in pipes:
                    os.close(pipe)
            if not lines:
                return


def _fork(request: dict[str, Any], pipes: list[int], line: socket.socket, others: Sequence[socket.socket]) -> None:
    """Two processes: one that is the program, one that watches it."""
    for module in request.pop("modules"):
        importlib.import_module(module)
    assert len(os.listdir("/proc/self/task")) == 1, "threads would be lost by forking"
    gc.freeze()
    if os.fork():
        return
    for other in others:
        other.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        line.close()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        _end(_exit_code(**request))
    for pipe in (0, 1, 2, *pipes):
        os.close(pipe)
    _watch(child, line)


def _watch(child: int, line: socket.socket) -> NoReturn:
    """Tell how the child ended; where the one who asked is gone, end it."""
    ended = os.pidfd_open(child)
    while ended not in select.select([ended, line], [], [])[0]:
        os.kill(child, signal.SIGTERM)
        select.select([ended], [], [])
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _exit_code(words: list[str], environment: dict[str, str], folder: str) -> int:
    """Run as `python *words`, and return what Python makes of how the program ends."""
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        if environment.get("PYTHONWARNINGS") == "error":
            warnings.simplefilter("error")
        _run(words)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:  # noqa: BLE001  whatever it is, a program ends with it
        traceback.print_exc()
        return 1
    return 0


def _run(words: list[str]) -> None:
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        sys.modules["__main__"] = program = ModuleType("__main__")
        exec(compile(words[1], "<string>", "exec"), vars(program))
    else:
        sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
        runpy.run_path(words[0], run_name="__main__")


def _end(code: int) -> NoReturn:
    """As Python ends, but for taking every module to pieces, which takes half a second where torch is among them."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _ask(path: str, modules: list[str], words: list[str]) -> NoReturn:
    """Have a child made that is us in all but name, and end as it does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.connect(path)
        request = {"modules": modules, "words": words, "environment": dict(os.environ), "folder": os.getcwd()}
        socket.send_fds(line, [json.dumps(request).encode()], [0, 1, 2])
        code = int(line.recv(16) or 1)
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _serve(sys.argv[1])
    else:
        _ask(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:])
