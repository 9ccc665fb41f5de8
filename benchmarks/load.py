"""Load on a server: so many clients that wait for each other's answers, or arrivals that wait for nobody."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from http_client import Answer, Client

BUSY = 429

_LOOK = 16
"""After so many arrivals it is seen whether it is worth going on."""

Check = Callable[[int, Answer], None]
"""Looks at the answer to the request of this place; raises AssertionError where it is wrong."""


@dataclass(slots=True, kw_only=True)
class Load:
    """What came of it."""

    seconds: float = 0.0
    """From the first request to the last answer."""
    client_seconds: float = 0.0
    """Of one core, that sending and reading took."""
    latencies: list[float] = field(default_factory=list)
    """Of answers with 200, in seconds."""
    refusals: list[float] = field(default_factory=list)
    """Of answers with 429, which all said when to come again."""
    failures: list[str] = field(default_factory=list)
    """Anything else: another status, a connection lost, an answer that is wrong."""

    @property
    def rate(self) -> float:
        """Requests answered a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    @property
    def client_share(self) -> float:
        """Of one core."""
        return self.client_seconds / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """Seconds within which so many of a hundred answers came; infinite without any."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else float("inf")


def closed_loop(
    port: int,
    path: str,
    bodies: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    most: float = math.inf,
    check: Check | None = None,
) -> Load:
    """Each client sends its next request when it has its answer, for so many seconds, or until `most` were sent."""
    load, numbers = Load(), count()

    async def one(client: Client, until: float) -> None:
        while time.perf_counter() < until and (number := next(numbers)) < most:
            await _ask(client, path, bodies, number % len(bodies), time.perf_counter(), load, check)

    async def run() -> None:
        async with Client(port) as client:
            until = time.perf_counter() + seconds
            await asyncio.gather(*(one(client, until) for _ in range(clients)))

    _timed(load, run)
    return load


def open_loop(
    port: int,
    path: str,
    bodies: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    seed: int,
    limit: float | None = None,
    check: Check | None = None,
) -> Load:
    """Requests arrive as a Poisson process, whatever became of those before; a latency counts from the arrival.

    Args:
        rate: arrivals a second.
        limit: seconds; given up as soon as more than one in a hundred of all takes longer.
    """
    load = Load()
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, max(1, round(rate * seconds)))).tolist()

    async def run() -> None:
        async with Client(port) as client, asyncio.TaskGroup() as group:
            began, waiting = time.perf_counter(), dict[asyncio.Task, float]()
            for place, at in enumerate(arrivals):
                if (left := began + at - time.perf_counter()) > 0:
                    await asyncio.sleep(left)
                asked = _ask(client, path, bodies, place % len(bodies), began + at, load, check)
                waiting[task := group.create_task(asked)] = began + at
                task.add_done_callback(waiting.pop)
                if limit is not None and place % _LOOK == 0 and _is_hopeless(load, waiting, limit, len(arrivals)):
                    break
            while limit is not None and waiting and not _is_hopeless(load, waiting, limit, len(arrivals)):
                await asyncio.wait(waiting, timeout=limit / 4)
            if limit is not None and waiting:
                load.failures.append(f"more than one in a hundred of {len(arrivals)} took longer than {limit:g} s")
                for task in list(waiting):
                    task.cancel()

    _timed(load, run)
    return load


def _is_hopeless(load: Load, waiting: Mapping[asyncio.Task, float], limit: float, num_all: int) -> bool:
    """Whether more than one in a hundred took longer than the limit, those counted that still wait."""
    now = time.perf_counter()
    late = sum(each > limit for each in load.latencies) + sum(at + limit < now for at in waiting.values())
    return late > num_all / 100 + 1


def highest_rate(holds: Callable[[float], bool], low: float, high: float, steps: int) -> float:
    """The highest rate that was seen to hold, halving what is between in each step; 0 where none did."""
    best = 0.0
    for _ in range(steps):
        middle = (low * high) ** 0.5
        if holds(middle):
            best = low = middle
        else:
            high = middle
    return best


async def _ask(
    client: Client,
    path: str,
    bodies: Sequence[bytes],
    place: int,
    began: float,
    load: Load,
    check: Check | None,
) -> None:
    try:
        answer = await client.post(path, bodies[place])
        took = time.perf_counter() - began
        if answer.status == BUSY and int(answer.headers.get(b"retry-after", b"0")) > 0:
            load.refusals.append(took)
        elif answer.status != 200:
            load.failures.append(f"{answer.status}: {answer.body[:200]!r}")
        else:
            if check is not None:
                check(place, answer)
            load.latencies.append(took)
    except (OSError, ValueError, AssertionError) as error:
        load.failures.append(f"{type(error).__name__}: {error}"[:200])


def _timed(load: Load, run: Callable) -> None:
    began, used = time.perf_counter(), time.process_time()
    asyncio.run(run())
    load.seconds, load.client_seconds = time.perf_counter() - began, time.process_time() - used
