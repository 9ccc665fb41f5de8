"""What was measured, as values that JSON keeps: one cell a model, size and workload."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modernbert.bench.backends import BACKENDS, Backend
from modernbert.bench.batching import Batching
from modernbert.bench.rates import Rates
from modernbert.bench.timing import Timing
from modernbert.bench.workloads import PAPER_DOCUMENTS
from modernbert.core.files import write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One backend with one way of batching."""

    backend: str
    batching: Batching
    seconds: tuple[float, ...] = ()
    """Of each round over all documents; empty where it failed."""
    batches: int = 0
    peak: int | None = None
    """Bytes at the first round's peak, weights included, libraries not; none where it cannot be told."""
    largest_batch: int | None = None
    """Documents of the workload's length in one batch within the budget; only of fixed lengths."""
    error: float | None = None
    """Largest difference of a state from stock's in float32, on a few documents, before timing."""
    error_timed: float | None = None
    """The same of every timed document's first token."""
    load_seconds: float = 0.0
    failed: str = ""
    """Why there is no figure; empty when there is one."""

    @property
    def name(self) -> str:
        """For tables: "stock-bf16, sorted"."""
        return f"{self.backend}, {self.batching}"

    @property
    def timing(self) -> Timing:
        """The rounds; only where there are some."""
        return Timing(seconds=self.seconds)

    @property
    def engine(self) -> Backend:
        """Runtime and number format."""
        return BACKENDS[self.backend]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """All backends of one model on the same documents, timed in turns."""

    model: str
    size: str
    workload: str
    documents: int
    tokens: int
    flops: float
    """What the documents need, without padding."""
    measured: tuple[Measured, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    """Backends that did not take part, and why."""
    made_of: dict[str, Any] = field(default_factory=dict)
    """What the figures depend on; a cell made of something else is measured again."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """When, on what, how busy."""

    @property
    def key(self) -> str:
        """For file names."""
        return f"{self.model}-{self.size}-{self.workload}"

    @property
    def timed(self) -> tuple[Measured, ...]:
        """Those with figures."""
        return tuple(one for one in self.measured if one.seconds)

    def best(self) -> dict[str, Measured]:
        """Of each backend, the way of batching that was fastest."""
        fastest: dict[str, Measured] = {}
        for one in self.timed:
            if one.backend not in fastest or one.timing.median < fastest[one.backend].timing.median:
                fastest[one.backend] = one
        return fastest

    def tokens_per_second(self, one: Measured) -> float:
        """Real tokens: padding does not count."""
        return self.tokens / one.timing.median

    def seconds_of_paper(self, one: Measured) -> float:
        """Seconds for the paper's 8,192 documents, in proportion."""
        return one.timing.median * PAPER_DOCUMENTS / self.documents

    def flops_per_second(self, one: Measured) -> float:
        """Useful operations."""
        return self.flops / one.timing.median

    @property
    def rates(self) -> Rates:
        """The machine's walls, just before this cell."""
        return Rates(**self.provenance["rates"])

    def share_of_matmul(self, one: Measured) -> float:
        """Useful operations as a share of what the machine's matrix products reach in that number format."""
        return self.flops_per_second(one) / self.rates.of(one.engine.dtype)

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        write_json(path, asdict(self))


def read_cell(path: Path) -> Cell | None:
    """A cell that was saved; none where there is none, or where another version of us wrote it."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        measured = tuple(Measured(**one | {"seconds": tuple(one["seconds"])}) for one in written.pop("measured"))
        return Cell(**written, measured=measured)
    except (FileNotFoundError, json.JSONDecodeError, TypeError, KeyError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of the work in a scaling series."""

    at: int
    """Documents, or tokens of the one document."""
    tokens: int
    flops: float
    batches: int
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round, seconds."""
        return Timing(seconds=self.seconds).median


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How cost grows, by backend."""

    model: str
    size: str
    workload: str
    series: dict[str, tuple[Point, ...]]
    stopped: dict[str, str] = field(default_factory=dict)
    """Where a series ends before the others, and why."""
    made_of: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def rates(self) -> Rates:
        """The machine's walls, just before."""
        return Rates(**self.provenance["rates"])

    @property
    def key(self) -> str:
        """For file names."""
        return f"{self.model}-{self.size}-{self.workload}"

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        write_json(path, asdict(self))


def read_scaling(path: Path) -> Scaling | None:
    """A scaling study that was saved; none where there is none, or where another version of us wrote it."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        series = {
            name: tuple(Point(**point | {"seconds": tuple(point["seconds"])}) for point in points)
            for name, points in written.pop("series").items()
        }
        return Scaling(**written, series=series)
    except (FileNotFoundError, json.JSONDecodeError, TypeError, KeyError):
        return None
