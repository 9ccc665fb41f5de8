"""Exports beside the engine and stock transformers: differences by length, bytes on disk, and speed, in turns.

    python benchmarks/export.py                        # nano and a base shape; writes docs/benchmarks-export.md
    python benchmarks/export.py --size tiny --rounds 3 --no-write

Differences are of the packaged model's heads; speed is of the trunk, of real tokens in right-padded batches of one length.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from encode import lengths_of
from modernbert.bench.machine import Machine, examine
from modernbert.bench.timing import alternate, paired_ratio
from modernbert.core.errors import UserError
from modernbert.core.script import as_script
from modernbert.export.check import difference
from modernbert.export.source import read_source
from modernbert.export.write import export
from modernbert.infer.exported import Exported
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from modernbert.model.hf_config import to_mapping
from modernbert.model.store import fresh, save
from modernbert.ops.packed import Packed
from modernbert.text.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-export.md"
LENGTHS = (1, 64, 65, 130, 512, 2048, 8192)
HEADS = {"fill-mask": "nano", "embedding": "nano:embedding", "trunk": "nano"}
PRECISIONS = ("float32", "bfloat16", "float16", "int8")
BACKENDS = ("onnxruntime", "openvino")
WORKLOADS = ("32x32", "8x128", "8x512", "1x32", "1x2048", "1x8192")
TEXTS = ("the keeper lit the lamp", "a function that parses arguments and returns a list", "fog from the north")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One graph."""

    head: str
    backend: str
    precision: str
    bytes: int
    by_length: tuple[float, ...]
    """Of `LENGTHS`, as the check counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One workload."""

    workload: str
    tokens: int
    seconds: dict[str, float]
    """Medians."""
    against_stock: dict[str, tuple[float, float, float]]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=sorted(SIZES), help="shape of what is timed")
    parser.add_argument("--workloads", nargs="+", default=WORKLOADS)
    parser.add_argument("--heads", nargs="+", default=tuple(HEADS), choices=tuple(HEADS))
    parser.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS, help="of the differences")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a workload, after which three rounds do")
    parser.add_argument("--no-write", action="store_true", help="leave the page as it is")
    options = parser.parse_args(words)
    with TemporaryDirectory() as home:
        differences = [
            one
            for head, backend, precision in product(options.heads, options.backends, options.precisions)
            if (one := _difference(Path(home), head, backend, precision, options.lengths)) is not None
        ]
        speeds = _speeds(Path(home), options.size, options.backends, options.workloads, options.rounds, options.seconds)
    lines = [*_difference_table(differences, options.lengths), "", *_speed_table(speeds)]
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(options.size, lines, examine()), encoding="utf-8")


def _difference(home: Path, head: str, backend: str, precision: str, lengths: Sequence[int]) -> Difference | None:
    """None where it is refused, which is said."""
    out = home / f"{head}-{backend}-{precision}"
    try:
        report = export(HEADS[head], out, backend=backend, precision=precision, head=head, texts=TEXTS, most_lost=5.0)
    except UserError as refusal:
        print(f"{out.name}: {refusal}", file=sys.stderr)
        return None
    source, exported = read_source(HEADS[head], head), Exported(out)
    draw = np.random.default_rng(0)
    found = []
    for length in lengths:
        document = draw.integers(0, source.model.config.vocab_size, length).tolist()
        found.append(difference(exported.rows([document])[0], next(source.rows([document]))))
    print(f"{out.name}: {report.bytes:,} bytes", file=sys.stderr)
    return Difference(head=head, backend=backend, precision=precision, bytes=report.bytes, by_length=tuple(found))


def _speeds(
    home: Path, size: str, backends: Sequence[str], workloads: Sequence[str], rounds: int, most_seconds: float
) -> list[Speed]:
    folder = home / "random"
    model = fresh(SIZES[size], Encoder).eval()
    save(model, folder)
    Tokenizer.load("nano").save(folder)  # nothing is tokenised here, and an export wants one
    exports = {}
    for backend, precision in product(backends, ("float32", "int8")):
        out = home / f"random-{backend}-{precision}"
        export(str(folder), out, backend=backend, precision=precision, head="trunk", texts=TEXTS, most_lost=100.0)
        exports[f"{backend} {precision}"] = Exported(out, threads=torch.get_num_threads())
    stock = _stock_model(model)
    return [_speed(model, stock, exports, each, rounds, most_seconds) for each in workloads]


def _speed(
    model: Encoder,
    stock: torch.nn.Module,
    exports: dict[str, Exported],
    workload: str,
    rounds: int,
    most_seconds: float,
) -> Speed:
    lengths = lengths_of(workload)
    draw = np.random.default_rng(1)
    documents = [draw.integers(0, model.config.vocab_size, length).tolist() for length in lengths]
    runs: dict[str, Callable[[], np.ndarray]] = {
        "stock float32": lambda: _run_stock(stock, documents),
        "ours float32": lambda: _run_ours(model, documents),
        **{name: lambda each=each: np.concatenate(each.rows(documents)) for name, each in exports.items()},
    }
    truth = runs["stock float32"]()
    for name, run in runs.items():
        worst = difference(run(), truth)
        assert worst < (0.5 if "int8" in name else 1e-3), f"{name}, {workload}: off by {worst}: nothing to time"
    timings = alternate(runs, rounds=rounds, most_seconds=most_seconds)
    stocks = timings["stock float32"]
    print(f"{workload}: done", file=sys.stderr)
    return Speed(
        workload=workload,
        tokens=sum(lengths),
        seconds={name: timing.median for name, timing in timings.items()},
        against_stock={name: paired_ratio(stocks, timing) for name, timing in timings.items()},
    )


def _stock_model(model: Encoder) -> torch.nn.Module:
    from transformers import ModernBertConfig, ModernBertModel

    written = to_mapping(model.config, architecture="ModernBertModel", dtype="float32")
    stock = ModernBertModel._from_config(ModernBertConfig(**written), attn_implementation="sdpa").eval()
    stock.load_state_dict(model.state_dict())
    return stock


@torch.inference_mode()
def _run_stock(stock: torch.nn.Module, documents: list[list[int]]) -> np.ndarray:
    ids = torch.tensor(documents)  # all of one length
    return stock(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.flatten(0, 1).numpy()


@torch.inference_mode()
def _run_ours(model: Encoder, documents: list[list[int]]) -> np.ndarray:
    return model(Packed.from_lists(documents)).numpy()


def _difference_table(rows: list[Difference], lengths: Sequence[int]) -> list[str]:
    lines = [
        f"| head | runtime | stored | MB | {' | '.join(f'{length:,}' for length in lengths)} |",
        f"|---|---|---|---:|{'---:|' * len(lengths)}",
    ]
    for row in rows:
        cells = " | ".join(f"{each:.0e}" for each in row.by_length)
        lines.append(f"| {row.head} | {row.backend} | {row.precision} | {row.bytes / 1e6:.1f} | {cells} |")
    return lines


def _speed_table(rows: list[Speed]) -> list[str]:
    names = list(rows[0].seconds)
    lines = [f"| workload | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for row in rows:
        cells = [
            f"{row.tokens / row.seconds[name]:,.0f} ({row.against_stock[name][0]:.2f}, "
            f"{row.against_stock[name][1]:.2f}–{row.against_stock[name][2]:.2f})"
            for name in names
        ]
        lines.append(f"| {row.workload} | {' | '.join(cells)} |")
    return lines


def _page(size: str, lines: list[str], machine: Machine) -> str:
    packages = " · ".join(f"{name} {number}" for name, number in machine.packages.items())
    return "\n".join(
        [
            "# Benchmarks of exports",
            "",
            "*Written by `python benchmarks/export.py`; no number here is typed by hand.*",
            "",
            f"{date.today().isoformat()} · {machine.cpu} · {machine.cores} cores · {machine.threads} threads · Python "
            f"{machine.python} · {packages}",
            "",
            "The first table is of the packaged model: the largest difference from it, by the tokens of one document, as a share of the "
            f"largest number in the row. The second is of a ModernBERT-{size} shape with random weights: tokens a second, medians, and the "
            "ratio to stock transformers (range over rounds); all alternate in one run, outputs are checked before timing.",
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    as_script(main)
