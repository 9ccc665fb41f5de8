"""What a study will measure, how long that takes, and what is left out and why; decided before anything runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modernbert.bench.backends import BACKENDS, Backend, Dtype, backend, why_not
from modernbert.bench.batching import Batching, grouped
from modernbert.bench.memory import parse_bytes
from modernbert.bench.rates import Rates
from modernbert.bench.rivals import MODELS, Rival, rival
from modernbert.bench.workloads import PAPER_DOCUMENTS, SCALING, WORKLOADS, Workload, workload
from modernbert.core.errors import UserError

_ROUND_SECONDS = 10.0
"""Of the stock model, in the slowest of the number formats asked for; decides how many documents there are."""
_START_SECONDS = 8.0
_EXPORT_SECONDS = 60.0
_LINEAR, _PACKED = 0.7, 0.5
_PADDED: dict[Dtype, float] = {"float32": 0.6, "bfloat16": 0.2, "int8": 0.2}
"""Shares of the matrix rate that linear layers and attention reach, for estimates only; seen on two CPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What somebody asked for."""

    models: tuple[str, ...] = MODELS
    sizes: tuple[str, ...] = ("base",)
    workloads: tuple[str, ...] = (*WORKLOADS, *SCALING)
    backends: tuple[str, ...] = tuple(BACKENDS)
    documents: int | None = None
    """Of every workload; absent: by `scale`, or by the machine's speed."""
    scale: float | None = None
    """Share of the paper's 8,192 documents."""
    rounds: int = 3
    budget: str = "24GB"
    """For the largest batch; the default is the paper's card."""
    most_seconds: float = 60.0
    """A scaling series ends before a point that would take longer; and in a third of it, what is quick runs again and
    again beyond its rounds."""

    def __post_init__(self) -> None:
        if self.documents is not None and self.scale is not None:
            raise UserError(
                "found --documents and --scale, expected one of them: both say how many documents there are"
            )
        if self.documents is not None and self.documents < 1:
            raise UserError(f"--documents: found {self.documents}, expected 1 or more")
        if self.scale is not None and not 0 < self.scale <= 1:
            raise UserError(f"--scale: found {self.scale:g}, expected a share of 8,192 documents above 0, up to 1")
        if self.rounds < 1:
            raise UserError(f"--rounds: found {self.rounds}, expected 1 or more")
        if not (self.models and self.sizes and self.workloads and self.backends):
            raise UserError("--models, --sizes, --workloads and --backends each need one word or more")
        for name in self.workloads:
            if name not in SCALING:
                workload(name)  # refuses what is none


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCell:
    """One model on one workload."""

    rival: Rival
    workload: Workload
    documents: int
    backends: tuple[Backend, ...]
    left_out: dict[str, str]
    seconds: float
    """Estimate."""

    @property
    def key(self) -> str:
        """For file names."""
        return f"{self.rival.key}-{self.workload.name}"

    @property
    def contenders(self) -> tuple[tuple[Backend, Batching], ...]:
        """Every backend with every way of batching worth trying."""
        return tuple((one, way) for one in self.backends for way in one.batchings(is_fixed=self.workload.is_fixed))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScaling:
    """How cost grows for one model."""

    rival: Rival
    workload: str
    backends: tuple[Backend, ...]
    seconds: float

    @property
    def key(self) -> str:
        """For file names."""
        return f"{self.rival.key}-{self.workload}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of it."""

    settings: Settings
    cells: tuple[PlannedCell, ...]
    scaling: tuple[PlannedScaling, ...]
    absent: dict[str, str]
    """Models that cannot run a workload, and why."""
    budget: int
    """Bytes."""

    @property
    def seconds(self) -> float:
        """Estimate for all of it."""
        return sum(part.seconds for part in (*self.cells, *self.scaling))

    @property
    def is_scaled_down(self) -> bool:
        """Whether fewer documents run than in the paper."""
        return any(cell.documents < PAPER_DOCUMENTS for cell in self.cells if cell.workload.paper_tokens)


def make_plan(settings: Settings, rates: Rates, *, device: str, exports: Path) -> Plan:
    """Decide.

    Raises:
        UserError: a word that is no model, size, workload or backend; a budget too small for a model's weights; or
            nothing is left to measure.
    """
    budget = parse_bytes(settings.budget)
    backends = [backend(name) for name in dict.fromkeys(settings.backends)]
    has_bfloat16 = rates.bfloat16 is not None
    cells: list[PlannedCell] = []
    scaling: list[PlannedScaling] = []
    absent: dict[str, str] = {}
    for one in _rivals(settings, absent):
        reasons = {each.name: why_not(each, one, device=device, has_bfloat16=has_bfloat16) for each in backends}
        able = tuple(each for each in backends if not reasons[each.name])
        _check_budget(settings, budget, one, able)
        for name in dict.fromkeys(settings.workloads):
            if name in SCALING:
                if one.is_ours and (fastest := _for_scaling(able)):
                    scaling.append(_planned_scaling(one, name, fastest, settings))
                continue
            documents_of = workload(name)
            if documents_of.longest > one.longest:
                absent[f"{one.label}, {name}"] = f"its positions end at {one.longest:,} tokens"
                continue
            left_out = {backend_name: reason for backend_name, reason in reasons.items() if reason}
            documents = _documents(settings, one, documents_of, able, rates)
            seconds = _estimate(one, documents_of, documents, able, rates, settings.rounds, exports)
            cells.append(
                PlannedCell(
                    rival=one,
                    workload=documents_of,
                    documents=documents,
                    backends=able,
                    left_out=left_out,
                    seconds=seconds,
                )
            )
    if not any(cell.backends for cell in cells) and not scaling:
        reasons = {reason for cell in cells for reason in cell.left_out.values()} | set(absent.values())
        raise UserError(f"nothing is left to measure: {'; '.join(sorted(reasons))}; ask for other models or backends")
    return Plan(settings=settings, cells=tuple(cells), scaling=tuple(scaling), absent=absent, budget=budget)


def _rivals(settings: Settings, absent: dict[str, str]) -> Iterable[Rival]:
    for size in dict.fromkeys(settings.sizes):
        for model in dict.fromkeys(settings.models):
            found = rival(model, size)
            if found is None:
                absent[f"{model}, {size}"] = "was never published in that size"
            else:
                yield found


def _check_budget(settings: Settings, budget: int, one: Rival, backends: Iterable[Backend]) -> None:
    for each in backends:
        needed = one.weights * each.bytes_per_number
        if budget < needed:
            raise UserError(
                f"--budget: found {settings.budget}, but the weights of {one.label} in {each.dtype} alone take "
                f"{needed / 1e9:.2f} GB: give more, or leave it out"
            )


def _for_scaling(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Ours and stock, each in the narrowest float format that runs here."""
    best: dict[str, Backend] = {}
    for each in backends:
        if each.runtime in ("ours", "stock") and each.dtype != "int8":
            kept = best.get(each.runtime)
            if kept is None or each.bytes_per_number < kept.bytes_per_number:
                best[each.runtime] = each
    return tuple(best.values())


def _planned_scaling(one: Rival, name: str, backends: tuple[Backend, ...], settings: Settings) -> PlannedScaling:
    # Each point takes at most the limit and twice the one before, so a series takes some twice the last point's time.
    seconds = len(backends) * (_START_SECONDS + 2 * settings.rounds * settings.most_seconds * 0.6)
    return PlannedScaling(rival=one, workload=name, backends=backends, seconds=seconds)


def _documents(settings: Settings, one: Rival, workload: Workload, backends: tuple[Backend, ...], rates: Rates) -> int:
    if workload.documents is not None:
        return workload.documents
    if settings.documents is not None:
        return settings.documents
    if settings.scale is not None:
        return max(1, round(settings.scale * PAPER_DOCUMENTS))
    dtypes: list[Dtype] = [each.dtype for each in backends] or ["float32"]
    dtype = min(dtypes, key=rates.of)
    one_document = [round(workload.mean)]
    each_takes = (
        one.linear_flops * sum(one_document) / _LINEAR + one.attention_flops(one_document) / _PADDED[dtype]
    ) / rates.of(dtype)
    fitting = int(_ROUND_SECONDS / each_takes)
    return min(PAPER_DOCUMENTS, max(workload.fewest(), fitting))


def _estimate(
    one: Rival,
    workload: Workload,
    documents: int,
    backends: tuple[Backend, ...],
    rates: Rates,
    rounds: int,
    exports: Path,
) -> float:
    lengths = workload.lengths(documents)
    seconds = 0.0
    for each in backends:
        seconds += _START_SECONDS * (2 if workload.has_largest_batch else 1)
        if each.runtime in ("onnx", "openvino") and not (exports / f"{one.key}-float32").exists():
            seconds += _EXPORT_SECONDS / 2
        once = 0.0
        for way in each.batchings(is_fixed=workload.is_fixed):
            once = _pass_seconds(one, lengths, each, way, workload, rates)
            seconds += rounds * once
        if workload.has_largest_batch:
            seconds += (3 if workload.limit > 1024 else 16) * once / documents
    return seconds


def _pass_seconds(
    one: Rival, lengths: list[int], each: Backend, way: Batching, workload: Workload, rates: Rates
) -> float:
    rate = rates.of(each.dtype) * (2 if each.dtype == "int8" else 1)
    if way == "packed":
        return (one.linear_flops * sum(lengths) / _LINEAR + one.attention_flops(lengths) / _PACKED) / rate
    groups = grouped(lengths, way, given_batch=workload.given_batch)
    longest = [max(lengths[i] for i in group) for group in groups]
    places = sum(len(group) * most for group, most in zip(groups, longest, strict=True))
    pairs = sum(len(group) * most**2 for group, most in zip(groups, longest, strict=True))
    linear = one.linear_flops * places
    attention = one.flops_when_padded(places, pairs) - linear
    return (linear / _LINEAR + attention / _PADDED[each.dtype]) / rate
