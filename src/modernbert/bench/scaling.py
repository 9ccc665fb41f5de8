"""How cost grows: with the number of documents, and with the length of one up to 32,768 tokens."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from modernbert.bench.backends import Backend
from modernbert.bench.contender import LostError
from modernbert.bench.machine import Machine
from modernbert.bench.plan import PlannedScaling, Settings
from modernbert.bench.results import Point, Scaling
from modernbert.bench.rivals import Rival
from modernbert.bench.workloads import WORKLOADS

LENGTHS = tuple(2**power for power in range(5, 16))
"""32 to 32,768 tokens: four times what the model was trained for, with a rotary base that grows with it."""
COUNTS = tuple(2**power for power in range(13))
"""1 to 4,096 documents."""
_FITTED_FROM = {"scaling-length": 512, "scaling-documents": 4}
"""Below, what a call costs whatever it does weighs more than what it does."""


class Begin(Protocol):
    """Start and load a contender."""

    def __call__(self, stack: ExitStack, rival: Rival, each: Backend) -> "tuple[Any, float]":
        """The contender, which ends with the stack, and the seconds it took."""
        ...


def measure_scaling(planned: PlannedScaling, settings: Settings, begin: Begin, machine: Machine) -> Scaling:
    """Each backend at each size, in turns, until a size would take too long."""
    long = planned.workload == "scaling-length"
    sizes = LENGTHS if long else COUNTS
    one = replace(planned.rival, longest=LENGTHS[-1]) if long else planned.rival
    series: dict[str, list[Point]] = {each.name: [] for each in planned.backends}
    stopped: dict[str, str] = {}
    with ExitStack() as stack:
        running = {}
        for each in planned.backends:
            try:
                running[each.name] = begin(stack, one, each)[0]
            except LostError as lost:
                stopped[each.name] = str(lost)
        for at in sizes:
            lengths = [at] if long else WORKLOADS["variable-512"].lengths(at)
            still = {name: each for name, each in running.items() if name not in stopped}
            for name in list(still):
                if (expected := expected_seconds(series[name], at)) > settings.most_seconds:
                    stopped[name] = f"{at:,} would take {expected:,.0f} s"
                    del still[name]
            for name, point in _measured(still, at, lengths, one.flops(lengths), settings, stopped):
                series[name].append(point)
    return Scaling(
        model=planned.rival.model,
        size=planned.rival.size,
        workload=planned.workload,
        series={name: tuple(points) for name, points in series.items()},
        stopped=stopped,
    )


def expected_seconds(points: Sequence[Point], at: int) -> float:
    """What the next size will take, if it grows as it did last; 0 before two sizes are known."""
    if len(points) < 2:
        return 0.0
    before, last = points[-2:]
    growth = max(1.0, last.median / before.median) ** (np.log(at / last.at) / np.log(last.at / before.at))
    return float(last.median * growth)


def exponent(points: Sequence[Point], workload: str) -> float | None:
    """The p in seconds ~ size^p, by least squares on logarithms; none below three sizes that are large enough."""
    fitted = [point for point in points if point.at >= _FITTED_FROM[workload]]
    if len(fitted) < 3:
        return None
    return float(np.polyfit(np.log([point.at for point in fitted]), np.log([point.median for point in fitted]), 1)[0])


def flops_exponent(points: Sequence[Point], workload: str) -> float | None:
    """The same of the operations needed: what the measured exponent would be at a constant rate."""
    fitted = [point for point in points if point.at >= _FITTED_FROM[workload]]
    if len(fitted) < 3:
        return None
    return float(np.polyfit(np.log([point.at for point in fitted]), np.log([point.flops for point in fitted]), 1)[0])


def _measured(
    running: dict[str, Any],
    at: int,
    lengths: list[int],
    flops: float,
    settings: Settings,
    stopped: dict[str, str],
) -> Iterator[tuple[str, Point]]:
    """A first round to warm up and to see how long it takes, then the rounds; one is enough where it takes long."""
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    for done in range(settings.rounds + 1):
        for name, contender in running.items():
            is_slow = done > 0 and answers[name] and answers[name][0]["seconds"] > settings.most_seconds / 4
            if name in stopped or is_slow:
                continue
            way = "packed" if contender.backend.runtime == "ours" else "sorted"
            try:
                answers[name].append(contender.ask("run", lengths=lengths, batching=way, given_batch=32))
            except LostError as lost:
                stopped[name] = f"{at:,}: {lost}"
    for name, found in answers.items():
        if name not in stopped and found:
            seconds = tuple(answer["seconds"] for answer in found[1:] or found)
            yield (
                name,
                Point(at=at, tokens=sum(lengths), flops=flops, batches=found[0]["batches"], seconds=seconds),
            )
