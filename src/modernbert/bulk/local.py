"""Workers on this machine: processes of one model each, pinned to cores of their own.

They are spawned, for a fork would copy torch's locks in whatever state they are. They pass over the signals that ask a
run to stop, and end as soon as the driver is gone, however it went.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Thread
from typing import Self

from modernbert.bulk.config import Recipe
from modernbert.bulk.pool import Event, Lost
from modernbert.bulk.worker import serve
from modernbert.core.cores import cores
from modernbert.data.corpus_files import CorpusFile

_PATIENCE_S = 5.0
"""That a process gets to end by itself."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


class LocalPool:
    """Processes. State: each one's pipe."""

    def __init__(self, recipe: Recipe, root: str, num_workers: int) -> None:
        """Nothing is started before it is opened."""
        self.num_workers = num_workers
        self._recipe, self._root = recipe, root
        self._context = get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        for worker in range(self.num_workers):
            pipe, process = self._start(worker)
            self._pipes.append(pipe)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()

    def give(self, worker: int, shard: CorpusFile) -> None:
        """Begin a shard; a worker that is gone says so in `wait`."""
        with suppress(OSError):
            self._pipes[worker].send(shard)

    def restart(self, worker: int) -> None:
        """Put a new process in the place of one that was lost."""
        self._pipes[worker].close()
        self._processes[worker].join(_PATIENCE_S)
        self._pipes[worker], self._processes[worker] = self._start(worker)

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened."""
        found: list[Event] = []
        for pipe in connection.wait(self._pipes, seconds):
            assert isinstance(pipe, Connection)
            worker = self._pipes.index(pipe)
            try:
                found.append(pipe.recv())
            except (EOFError, OSError):
                self._processes[worker].join(_PATIENCE_S)
                code = self._processes[worker].exitcode
                why = "too little memory, or somebody ended it" if code == -9 else f"exit code {code}"
                found.append(Lost(worker, f"a worker process is gone ({why})"))
        return found

    def _start(self, worker: int) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve,
            args=(worker, theirs, self._recipe, self._root, self._own_cores(worker)),
            name=f"annotate-{worker}",
            daemon=True,
        )
        process.start()
        theirs.close()  # so that a process that dies closes the pipe
        return ours, process

    def _own_cores(self, worker: int) -> list[int]:
        """None, and hence any, where there are too few for all."""
        threads, all_cores = self._recipe.threads, cores()
        if self.num_workers * threads > len(all_cores):
            return []
        return all_cores[worker * threads : (worker + 1) * threads]


def _serve(worker: int, pipe: Connection, recipe: Recipe, root: str, own_cores: list[int]) -> None:
    """What a process does until its pipe is closed."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    if own_cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own_cores)
    os.environ |= dict.fromkeys(_THREADS, str(recipe.threads))  # read by libraries when they are loaded
    shards: SimpleQueue[CorpusFile] = SimpleQueue()
    Thread(target=_listen, args=(pipe, shards), daemon=True).start()
    try:
        serve(worker, recipe, root, shards.get, pipe.send)
    except OSError:  # the driver is gone
        return


def _listen(pipe: Connection, shards: "SimpleQueue[CorpusFile]") -> None:
    while True:
        try:
            shards.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)  # what is under way has no name yet, and somebody may have begun it anew
