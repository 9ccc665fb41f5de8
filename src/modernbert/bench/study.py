"""The efficiency study: every planned cell, each contender in a process of its own, timed in turns.

A cell that is finished is a JSON file; a study that was stopped goes on where it was.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from modernbert.bench.agreement import CHECKED, disagreement, largest_difference
from modernbert.bench.backends import Backend, backend
from modernbert.bench.batching import Batching
from modernbert.bench.contender import Contender, LostError
from modernbert.bench.machine import Machine
from modernbert.bench.plan import Plan, PlannedCell
from modernbert.bench.rates import Rates, measure
from modernbert.bench.results import Cell, Measured, Scaling, read_cell, read_scaling
from modernbert.bench.rivals import Rival
from modernbert.bench.scaling import measure_scaling
from modernbert.bench.timing import alternate
from modernbert.core.errors import UserError
from modernbert.core.log import progress, say

_STOCK = "stock-fp32"
_MANY, _FEW = 21, 5
"""Rounds of what is quick, and how many are so few that none can be spared."""


class Process(Protocol):
    """What a study asks of a contender."""

    backend: Backend

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def export(self) -> None:
        """Write the files that the backend reads."""
        ...

    def load(self, *, device: str, threads: int) -> dict[str, Any]:
        """Make the model."""
        ...

    def ask(self, what: str, **details: object) -> dict[str, Any]:
        """One request, one answer."""
        ...


class Start(Protocol):
    """How a contender comes to be."""

    def __call__(self, rival: Rival, backend: Backend, *, exports: Path, log: Path) -> Process:
        """Start one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything measured, and on what."""

    plan: Plan
    cells: tuple[Cell, ...]
    scaling: tuple[Scaling, ...]
    machine: Machine
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how a study runs."""

    out: Path
    machine: Machine
    rates: Rates
    start: Start = Contender
    tell: Callable[[str], None] = lambda _: None
    """What is being done now, for who watches."""

    @property
    def exports(self) -> Path:
        """Folder of the ONNX files, kept for the next run."""
        return self.out / "models"

    @property
    def log(self) -> Path:
        """What the workers say on stderr."""
        return self.out / "workers.log"


def run_study(plan: Plan, place: Place) -> Study:
    """Measure what is not measured yet."""
    cells, scaling = [], []
    with progress("now") as bar:
        task = bar.add_task("measuring", total=len(plan.cells) + len(plan.scaling))
        place = replace(place, tell=lambda doing: bar.update(task, now=doing))
        for planned in plan.cells:
            cells.append(_kept_or_measured(planned, plan, place))
            bar.update(task, advance=1)
        for growing in plan.scaling:
            path = place.out / "cells" / f"{growing.key}.json"
            made_of = _made_of(plan, place) | {
                "backends": [each.name for each in growing.backends],
                "most_seconds": plan.settings.most_seconds,
            }
            kept = read_scaling(path)
            if kept is None or kept.made_of != made_of:
                provenance = _provenance(place)
                kept = measure_scaling(growing, plan.settings, partial(_started, place), place.machine)
                kept = replace(kept, made_of=made_of, provenance=provenance)
                kept.save(path)
            scaling.append(kept)
            bar.update(task, advance=1)
    return Study(plan=plan, cells=tuple(cells), scaling=tuple(scaling), machine=place.machine, rates=place.rates)


def check_writable(out: Path) -> None:
    """Before hours of measuring.

    Raises:
        UserError: nothing can be written there.
    """
    try:
        (out / "cells").mkdir(parents=True, exist_ok=True)
        probe = out / "cells" / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"--out {out}: nothing can be written there ({error.strerror or error}): choose another folder"
        ) from None


def _kept_or_measured(planned: PlannedCell, plan: Plan, place: Place) -> Cell:
    path = place.out / "cells" / f"{planned.key}.json"
    made_of = _made_of(plan, place) | {
        "documents": planned.documents,
        "contenders": [f"{each.name}, {way}" for each, way in planned.contenders],
        "budget": plan.budget,
    }
    kept = read_cell(path)
    if kept is not None and kept.made_of == made_of:
        return replace(kept, left_out=planned.left_out)
    if kept is not None:
        say(f"{planned.key}: measured under other conditions before, and now again")
    provenance = _provenance(place)
    cell = replace(_measure(planned, plan, place), made_of=made_of, provenance=provenance)
    cell.save(path)
    return cell


def _measure(planned: PlannedCell, plan: Plan, place: Place) -> Cell:
    lengths = planned.workload.lengths(planned.documents)
    failed: dict[str, str] = {}
    loads: dict[str, float] = {}
    with ExitStack() as stack, TemporaryDirectory() as scratch:
        running: dict[str, Process] = {}
        for each in planned.backends:
            try:
                running[each.name], loads[each.name] = _started(place, stack, planned.rival, each)
            except LostError as lost:
                failed[each.name] = str(lost)
        errors = _check(running, planned.rival, place, Path(scratch), failed)
        measured = _time(planned, plan, place, running, lengths, Path(scratch), failed)
    batches = _largest_batches(planned, plan, place, set(running) - set(failed))
    measured = [
        replace(
            one,
            error=errors.get(one.backend),
            load_seconds=loads.get(one.backend, 0.0),
            largest_batch=batches.get(one.backend),
        )
        for one in measured
    ]
    return Cell(
        model=planned.rival.model,
        size=planned.rival.size,
        workload=planned.workload.name,
        documents=planned.documents,
        tokens=sum(lengths),
        flops=planned.rival.flops(lengths),
        measured=tuple(measured),
        left_out=planned.left_out,
    )


def _started(place: Place, stack: ExitStack, rival: Rival, each: Backend) -> tuple[Process, float]:
    """A contender that is loaded, and the seconds that took; an ONNX file is written in a process of its own first."""
    if each.runtime in ("onnx", "openvino"):
        place.tell(f"{rival.key}: exporting for {each.name}")
        with place.start(rival, each, exports=place.exports, log=place.log) as exporter:
            exporter.export()
    place.tell(f"{rival.key}: loading {each.name}")
    contender = stack.enter_context(place.start(rival, each, exports=place.exports, log=place.log))
    loaded = contender.load(device=place.machine.device, threads=place.machine.threads)
    return contender, loaded["seconds"]


def _check(
    running: Mapping[str, Process], rival: Rival, place: Place, scratch: Path, failed: dict[str, str]
) -> dict[str, float]:
    """Each backend's largest difference from stock in float32; who is not equal is put under `failed`."""
    stock_error = None
    try:
        truth = _states(running, _STOCK, rival, place, scratch)
        if any(one.backend.dtype == "bfloat16" for one in running.values()):
            stock_error = largest_difference(_states(running, "stock-bf16", rival, place, scratch), truth)
    except LostError as lost:
        failed |= dict.fromkeys(running, f"nothing to compare with, stock failed: {lost}")
        return {}
    errors: dict[str, float] = {}
    for name, contender in running.items():
        try:
            found = _states(running, name, rival, place, scratch)
        except LostError as lost:
            failed[name] = str(lost)
            continue
        errors[name] = largest_difference(found, truth)
        if reason := disagreement(found, truth, contender.backend.dtype, stock_error=stock_error):
            failed[name] = reason
    return errors


def _states(running: Mapping[str, Process], name: str, rival: Rival, place: Place, scratch: Path) -> np.ndarray:
    """States of the checked documents; of a backend that does not take part, from a process that ends with this."""
    file = scratch / f"states-{name}.npy"
    if not file.exists():
        with ExitStack() as stack:
            contender = running.get(name) or _started(place, stack, rival, backend(name))[0]
            contender.ask("states", lengths=list(CHECKED), file=str(file))
    return np.load(file)


def _time(
    planned: PlannedCell,
    plan: Plan,
    place: Place,
    running: Mapping[str, Process],
    lengths: list[int],
    scratch: Path,
    failed: dict[str, str],
) -> list[Measured]:
    """Rounds in turns. The peak is the first round's, and the larger batches come last: runtimes keep what they had."""
    turns: dict[str, Callable[[], float]] = {}
    answers: dict[str, dict[str, Any]] = {}
    for each, way in sorted(planned.contenders, key=lambda contender: contender[1] == "given"):
        if each.name in failed:
            continue
        name = f"{each.name}, {way}"
        turns[name] = partial(_turn, running[each.name], name, way, lengths, planned, place, scratch, answers, failed)
    settings = plan.settings
    place.tell(f"{planned.key}: {len(turns)} contenders in turns")
    timings = alternate(
        turns,
        rounds=max(settings.rounds, _MANY),
        most_seconds=settings.most_seconds / 3,
        fewest=settings.rounds,
    )
    measured = []
    for each, way in planned.contenders:
        name = f"{each.name}, {way}"
        if reason := failed.get(each.name) or failed.get(name):
            measured.append(Measured(backend=each.name, batching=way, failed=reason))
            continue
        answer = answers[name]
        one = Measured(
            backend=each.name,
            batching=way,
            seconds=_counted(timings[name].seconds),
            batches=answer["batches"],
            peak=answer["peak"],
        )
        measured.append(_compared(one, scratch))
    return measured


def _counted(seconds: tuple[float, ...]) -> tuple[float, ...]:
    """Without the first of many, in which a runtime still prepares for new shapes; of few it is not felt."""
    return seconds[1:] if len(seconds) > _FEW else seconds


def _turn(
    contender: Process,
    name: str,
    way: Batching,
    lengths: list[int],
    planned: PlannedCell,
    place: Place,
    scratch: Path,
    answers: dict[str, dict[str, Any]],
    failed: dict[str, str],
) -> float:
    """One round of one contender; the first also keeps what came out."""
    if failed.get(name) or failed.get(contender.backend.name):
        return float("nan")
    place.tell(f"{planned.key}: {name}")
    is_first = name not in answers
    workload = planned.workload
    given_batch = workload.given_batch if place.machine.device == "cpu" else workload.given_batch_gpu
    try:
        answer = contender.ask(
            "run",
            lengths=lengths,
            batching=way,
            given_batch=given_batch,
            file=str(scratch / f"{name}.npy") if is_first else None,
        )
    except LostError as lost:
        failed[name] = str(lost)
        return float("nan")
    answers.setdefault(name, answer)
    return answer["seconds"]


def _compared(one: Measured, scratch: Path) -> Measured:
    """With the difference of every timed document's first token from stock's in float32, where that was timed, too."""
    truth = scratch / f"{_STOCK}, sorted.npy"
    if not truth.exists():
        return one
    found, expected = np.load(scratch / f"{one.name}.npy"), np.load(truth)
    error = largest_difference(found, expected)
    if one.engine.dtype == "float32" and (reason := disagreement(found, expected, "float32", stock_error=None)):
        return Measured(backend=one.backend, batching=one.batching, failed=f"on the timed documents {reason}")
    return replace(one, error_timed=error)


def _largest_batches(planned: PlannedCell, plan: Plan, place: Place, names: set[str]) -> dict[str, int | None]:
    """In fresh processes: what a timed one has kept of its memory would hide what a batch takes."""
    if not planned.workload.has_largest_batch:
        return {}
    found: dict[str, int | None] = {}
    for name in sorted(names):
        try:
            with ExitStack() as stack:
                contender, _ = _started(place, stack, planned.rival, backend(name))
                found[name] = contender.ask("memory", length=planned.workload.longest, budget=plan.budget)["batch"]
        except LostError as lost:
            say(f"{planned.key}: the largest batch of {name} was not found: {lost}")
    return found


def _made_of(plan: Plan, place: Place) -> dict[str, Any]:
    machine = place.machine
    facts = {name: getattr(machine, name) for name in ("cpu", "cores", "threads", "device", "kernels", "packages")}
    return facts | {"rounds": plan.settings.rounds}


def _provenance(place: Place) -> dict[str, Any]:
    """When a cell began, how busy the machine was by then, and what it reached."""
    return {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "rates": asdict(measure(place.machine.device)),
    }
