"""Workers on a Ray cluster: actors that load the models once and take one shard at a time.

Actors and not Ray Data: see docs/decisions/019. Texts and results never pass through the object store; a shard's name goes
to an actor, and its counts come back.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, Self

from modernbert.bulk.config import Recipe
from modernbert.bulk.pool import Advanced, Event, Failed, Lost, Ready
from modernbert.bulk.worker import Worker
from modernbert.core.errors import UserError, first_line, require
from modernbert.data.corpus_files import CorpusFile

if TYPE_CHECKING:
    from modernbert.bulk.sidecar import Progress

_AT_ONCE = 2
"""Calls of an actor: a shard, and beside it the question how far it is."""

_MOST_ASKED = 50
"""Actors that are asked how far they are before each waiting: with a thousand, asking all would be the driver's main work."""


class RayActor:
    """What runs on the cluster."""

    def __init__(self, number: int, recipe: Recipe, root: str) -> None:
        """Load the models; what is wrong with them is told by `ready`, as a sentence."""
        self._number = number
        self._progress: Progress | None = None
        try:
            self._worker: Worker | str = Worker(number, recipe, root)
        except UserError as error:
            self._worker = str(error)

    def ready(self) -> Event:
        """Whether it can begin."""
        if isinstance(self._worker, str):
            return Failed(self._number, self._worker, is_fatal=True)
        return Ready(self._number)

    def run(self, shard: CorpusFile) -> Event:
        """Do a shard; how it ended."""
        assert isinstance(self._worker, Worker)
        ends: list[Event] = []

        def note(event: Event) -> None:
            if isinstance(event, Advanced):
                self._progress = event.progress
            else:
                ends.append(event)

        self._progress = None
        self._worker.run(shard, note)
        return ends[-1]

    def progress(self) -> Event | None:
        """How far its shard is."""
        return None if self._progress is None else Advanced(self._number, self._progress)


class RayPool:
    """Actors. State: what each was asked and has not answered."""

    def __init__(
        self, recipe: Recipe, root: str, *, address: str | None, num_workers: int | None, most: int, gpus: float = 0.0
    ) -> None:
        """Nothing is started before it is opened.

        Args:
            address: of a cluster; absent: one of this machine, which ends with the pool.
            num_workers: absent: as many as the cluster has room for, and no more than `most`.
            gpus: of an actor.
        """
        self.num_workers = num_workers or 0
        self._recipe, self._root, self._address, self._most, self._gpus = recipe, root, address, most, gpus
        self._actors: list[Any] = []
        self._asked: dict[Any, int] = {}
        self._asked_progress: dict[int, Any] = {}
        self._last_asked: dict[int, float] = {}
        self._busy: set[int] = set()

    def __enter__(self) -> Self:
        self._ray = require("ray", extra="ray")
        with ExitStack() as held:
            held.enter_context(
                redirect_stdout(sys.stderr)
            )  # Ray prints what befalls its workers; stdout is for results
            self._connect(held)
            self.num_workers = min(self.num_workers or self._room(), self._most)
            self._actors = [None] * self.num_workers
            for worker in range(self.num_workers):
                self._start(worker)
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors:
            with suppress(Exception):  # the cluster may be gone
                self._ray.kill(actor)
        self._held.close()

    def give(self, worker: int, shard: CorpusFile) -> None:
        """Begin a shard."""
        self._busy.add(worker)
        self._asked[self._actors[worker].run.remote(shard)] = worker

    def restart(self, worker: int) -> None:
        """Put a new actor in the place of one that was lost."""
        self._start(worker)

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened. Progress is asked for while waiting, of each actor once at a time."""
        silent = sorted(self._busy - self._asked_progress.keys(), key=lambda worker: self._last_asked.get(worker, 0.0))
        for worker in silent[:_MOST_ASKED]:
            self._asked_progress[worker] = self._actors[worker].progress.remote()
            self._last_asked[worker] = time.monotonic()
        asked = list(self._asked)
        ready, _ = self._ray.wait(asked, num_returns=1, timeout=seconds)
        more, _ = self._ray.wait(asked, num_returns=len(asked), timeout=0)
        found = [event for each in {*ready, *more} if each in self._asked and (event := self._answer(each))]
        return found + self._advanced()

    def _connect(self, held: ExitStack) -> None:
        """To what is there already, or to the address, or to a cluster of its own that ends with the pool."""
        if self._ray.is_initialized():
            return
        dashboard = None if self._address else False
        try:
            self._ray.init(self._address, log_to_driver=False, logging_level="ERROR", include_dashboard=dashboard)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"--ray-address {self._address}: no cluster can be reached there ({first_line(error)}): check the address, or "
                "leave it out to start one on this machine"
            ) from error
        held.callback(self._ray.shutdown)

    def _answer(self, asked: Any) -> Event | None:
        worker = self._asked.pop(asked)
        self._busy.discard(worker)
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayError as error:
            self._asked = {each: who for each, who in self._asked.items() if who != worker}
            self._asked_progress.pop(worker, None)
            return Lost(worker, f"a Ray actor is gone ({first_line(error)})")

    def _advanced(self) -> list[Event]:
        refs = {asked: worker for worker, asked in self._asked_progress.items()}
        if not refs:
            return []
        ready, _ = self._ray.wait(list(refs), num_returns=len(refs), timeout=0)
        found = []
        for asked in ready:
            worker = refs[asked]
            del self._asked_progress[worker]
            with suppress(self._ray.exceptions.RayError):  # its shard's answer tells that it is lost
                event = self._ray.get(asked)
                if event is not None and worker in self._busy:
                    found.append(event)
        return found

    def _start(self, worker: int) -> None:
        threads = str(self._recipe.threads)
        kind = self._ray.remote(
            num_cpus=self._recipe.threads,
            num_gpus=self._gpus,
            max_concurrency=_AT_ONCE,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}},
        )(RayActor)
        self._actors[worker] = kind.remote(worker, self._recipe, self._root)
        self._asked[self._actors[worker].ready.remote()] = worker

    def _room(self) -> int:
        there = self._ray.cluster_resources()
        rooms = [there.get("CPU", 0) / self._recipe.threads]
        if self._gpus:
            rooms.append(there.get("GPU", 0) / self._gpus)
        if min(rooms) < 1:
            raise UserError(
                f"the cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, too few for one worker of "
                f"{self._recipe.threads} threads and {self._gpus:g} GPUs: add machines, or ask for less"
            )
        return int(min(rooms))
