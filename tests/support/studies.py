"""A study that nobody measured, with every kind of result in it: for tests of what is made of one."""

from functools import cache
from pathlib import Path

from modernbert.bench.machine import Machine
from modernbert.bench.plan import Settings, make_plan
from modernbert.bench.rates import Rates
from modernbert.bench.results import Cell, Measured, Point, Scaling
from modernbert.bench.rivals import rival
from modernbert.bench.study import Study
from modernbert.bench.workloads import workload

RATES = Rates(float32=250e9, bfloat16=900e9, bandwidth=22e9)
MACHINE = Machine(
    cpu="Make-believe CPU",
    cores=2,
    threads=2,
    device="cpu",
    dtype="bfloat16",
    dtype_reason="it was made up so",
    attention="blocked",
    backends={"blocked": "usable"},
    kernels="none: it was made up so",
    gflops=900.0,
    python="3.11.7",
    packages={"torch": "2.13.0"},
)
PROVENANCE = {
    "began": "2026-11-21T12:00:00+00:00",
    "load_average": 0.2,
    "rates": {"float32": 250e9, "bfloat16": 900e9, "bandwidth": 22e9},
}
SPEEDS = {
    "stock-bf16": (1561, 1657, 229),
    "ours-bf16": (3400, 3300, 1750),
    "ours-int8": (5200, 5100, 2100),
    "onnx-fp32": (1400, 1300, 180),
    "onnx-int8": (3000, 2900, 170),
    "openvino-bf16": (2578, 2188, 479),
}
"""Tokens a second on fixed-512, variable-512 and 1x8192."""


def cell(model: str, name: str, documents: int, speeds: dict[str, float]) -> Cell:
    """One with those tokens a second; "given" is a third slower."""
    one, work = rival(model, "base"), workload(name)
    lengths = work.lengths(documents)
    measured = []
    for backend, speed in speeds.items():
        ways = ("packed",) if backend.startswith("ours") else ("sorted",) if work.is_fixed else ("sorted", "given")
        for way in ways:
            middle = sum(lengths) / speed * (1.5 if way == "given" else 1.0)
            measured.append(
                Measured(
                    backend=backend,
                    batching=way,
                    seconds=(1.04 * middle, middle, 0.98 * middle),
                    batches=-(-sum(lengths) // 4096),
                    peak=700_000_000,
                    largest_batch=1500 if work.is_fixed else None,
                    error=1e-6,
                    error_timed=2e-6,
                    load_seconds=3.0,
                )
            )
    measured.append(Measured(backend="openvino-fp32", batching="sorted", failed="killed, most likely for memory"))
    return Cell(
        model=model,
        size="base",
        workload=name,
        documents=documents,
        tokens=sum(lengths),
        flops=one.flops(lengths),
        measured=tuple(measured),
        left_out={"stock-fp32": "it was made up so"},
        made_of={"documents": documents},
        provenance=PROVENANCE,
    )


def scaling(name: str) -> Scaling:
    """Ours grows with the power 1.1, stock with 1.5."""
    one = rival("modernbert", "base")
    series = {}
    for backend, each, power in (("ours-bf16", 0.0003, 1.1), ("stock-bf16", 0.0003, 1.5)):
        points = []
        for at in (2**place for place in range(5, 16 if power < 1.5 else 13)):
            lengths = [at] if name == "scaling-length" else [256] * min(at, 1024)
            seconds = 0.004 + each * at**power / (1 if name == "scaling-length" else 0.01)
            points.append(
                Point(
                    at=at, tokens=sum(lengths), flops=one.flops(lengths), batches=1, seconds=(seconds, seconds * 1.02)
                )
            )
        series[backend] = tuple(points)
    return Scaling(
        model="modernbert",
        size="base",
        workload=name,
        series=series,
        stopped={"stock-bf16": "8,192 would take 90 s"},
        provenance=PROVENANCE,
    )


@cache
def study() -> Study:
    """Two models, three workloads, both ways of growing."""
    plan = make_plan(
        Settings(
            models=("bert", "nomic", "modernbert"), workloads=("fixed-512", "variable-512", "fixed-8192", "1x8192")
        ),
        RATES,
        device="cpu",
        exports=Path("nowhere"),
    )
    cells = [
        cell(
            model,
            name,
            documents,
            {backend: speeds[column] for backend, speeds in SPEEDS.items()}
            if model == "modernbert"
            else {
                backend: speeds[column] * 1.1 for backend, speeds in SPEEDS.items() if not backend.startswith("ours")
            },
        )
        for model in ("bert", "modernbert")
        for column, (name, documents) in enumerate((("fixed-512", 8), ("variable-512", 16), ("1x8192", 1)))
        if not (model == "bert" and name == "1x8192")
    ]
    return Study(
        plan=plan,
        cells=tuple(cells),
        scaling=(scaling("scaling-length"), scaling("scaling-documents")),
        machine=MACHINE,
        rates=RATES,
    )
