"""Processes that do jobs ahead of time, and hand the results back in order.

Not `concurrent.futures`: its processes outlive a parent that is killed, and die of the signals that ask a run to stop,
which comes before the run has saved itself. These ignore such signals, and end when their pipe is closed.
"""

import pickle
import signal
from collections import deque
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from modernbert.core.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")

_PATIENCE = 5.0
"""Seconds a process gets to end by itself."""


class Workers(Generic[Job, Result]):
    """One function in several processes. State: the jobs under way. Close it, or use it as a context."""

    def __init__(self, function: Callable[[Job], Result], number: int) -> None:
        """Start processes afresh (spawn): a fork would copy torch's locks in whatever state they are."""
        context = get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        self._under_way: deque[int] = deque()
        self._num_given = 0
        for n in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), name=f"rows-{n}", daemon=True)
            process.start()
            theirs.close()  # so that a process that dies closes the pipe
            self._pipes.append(ours)
            self._processes.append(process)
        for n, pipe in enumerate(self._pipes):
            self._attempt(n, lambda pipe=pipe: pipe.send(function))

    def give(self, job: Job) -> None:
        """Start a job."""
        worker = self._num_given % len(self._pipes)
        self._attempt(worker, lambda: self._pipes[worker].send(job))
        self._under_way.append(worker)
        self._num_given += 1

    def take(self) -> Result:
        """The result of the oldest job.

        Raises:
            UserError: its process is gone. What the job itself raised is raised again.
        """
        worker = self._under_way.popleft()
        result, error = self._attempt(worker, lambda: self._pipes[worker].recv())
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the processes; jobs under way are lost."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []
        self._under_way.clear()

    def _attempt(self, worker: int, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (EOFError, OSError) as gone:
            process = self._processes[worker]
            process.join(_PATIENCE)
            raise UserError(
                f"a process that prepares rows is gone (exit code {process.exitcode}; -9 is often too little memory):"
                " lower data.num_workers, or set it to 0 to see what it says"
            ) from gone


def _serve(pipe: Connection) -> None:
    """What a process does until its pipe is closed."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    Thread(target=_send, args=(pipe, results), daemon=True).start()
    try:
        function = pipe.recv()
        while True:  # the next job is taken at once, so giving one never waits for a result to be taken
            results.put(_tried(function, pipe.recv()))
    except (EOFError, OSError):
        return


def _tried(function: Callable[[Any], Any], job: Any) -> tuple[Any, BaseException | None]:
    try:
        return function(job), None
    except Exception as error:  # noqa: BLE001 (whatever it is, the parent raises it)
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001
            return None, RuntimeError(f"{type(error).__name__}: {error}")
        return None, error


def _send(pipe: Connection, results: "SimpleQueue[tuple[Any, BaseException | None]]") -> None:
    try:
        while True:
            pipe.send(results.get())
    except OSError:
        return
