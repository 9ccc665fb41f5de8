"""Encoding: ours against stock transformers sdpa, same weights, same inputs, alternating, outputs checked equal first.

    python benchmarks/encode.py                       # float32 and bfloat16; writes docs/benchmarks.md
    python benchmarks/encode.py --cases 8x512 32x32:bfloat16 --no-write

The weights are random (speed does not depend on them); stock gets what it is best at: right-padded batches with a mask.
Peak memory is measured in a process of its own for each contender.
"""

import argparse
import ctypes
import gc
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from harness import Timing, alternate, paired_ratio
from modernbert.bench.machine import Machine, examine
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import forward_flops
from modernbert.model.encoder import Encoder
from modernbert.model.hf_config import to_mapping
from modernbert.model.precision import best_precision
from modernbert.model.store import fresh
from modernbert.ops.packed import Packed
from modernbert.ops.roofline import matmul_rate

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
MEMORY = "Memory that one forward pass of"
"""How the page's last paragraph begins."""


def lengths_of(workload: str) -> list[int]:
    """ "variable", or "8x512": how long the documents are."""
    if workload == "variable":
        draw = random.Random(0)
        return [min(512, max(16, round(draw.gauss(256, 128)))) for _ in range(32)]
    count, length = workload.split("x")
    return [int(length)] * int(count)


WORKLOADS = ("variable", "8x512", "32x32", "1x32", "1x2048", "1x8192")
SHORT = ("32x32", "1x32")
"""What is run in bfloat16 on a machine that only emulates it: the others would take an hour and say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    workload: str
    dtype: str
    tokens: int
    ours: float
    """Real tokens a second, median."""
    stock: float
    ratio: float
    """Median over the rounds of stock's time over ours."""
    ratio_low: float
    ratio_high: float
    rounds: int
    of_matmul: float
    """Our FLOP/s over the measured matrix-multiply rate in that dtype, just before."""
    error: float
    """Largest difference between the two outputs, in float32; in bfloat16 ours against stock in float32."""
    stock_error: float
    """In bfloat16, stock's own difference from itself in float32."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=sorted(SIZES))
    parser.add_argument("--cases", nargs="+", default=_default_cases(), help="such as 8x512 or 32x32:bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a workload, after which three rounds do")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md as it is")
    parser.add_argument(
        "--memory", action="store_true", help="measure memory again, and leave the page's table as it is"
    )
    parser.add_argument("--peak-of", choices=["ours", "stock"], help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    config = SIZES[options.size]
    if options.memory:
        _write_memory(options.size)
        return
    if options.peak_of:
        print(json.dumps(_peak_growth(config, options.peak_of)))
        return
    ours, stock = _encoder(config), _stock_model(config)
    stock.load_state_dict(ours.state_dict())
    rows = []
    for case in options.cases:
        workload, _, dtype = case.partition(":")
        rows.append(_compare(config, ours, stock, workload, dtype or "float32", options.rounds, options.seconds))
    print("\n".join(_table(rows)))
    if options.no_write:
        return
    del ours, stock
    PAGE.write_text(_page(options.size, rows, examine()), encoding="utf-8")
    _write_memory(options.size)


def _write_memory(size: str) -> None:
    ours, stock = (_peak_in_child(size, contender) for contender in ("ours", "stock"))
    kept = PAGE.read_text(encoding="utf-8").partition(MEMORY)[0].rstrip()
    told = f"{MEMORY} 1 x 8192 in float32 adds at its peak: ours {ours:,.0f} MB, stock {stock:,.0f} MB ({ours / stock:.0%})."
    PAGE.write_text(f"{kept}\n\n{told}\n", encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)


def _default_cases() -> list[str]:
    has_bfloat16 = best_precision().dtype == torch.bfloat16
    return [*WORKLOADS, *(f"{workload}:bfloat16" for workload in (WORKLOADS if has_bfloat16 else SHORT))]


def _encoder(config: ModelConfig) -> Encoder:
    return fresh(config, Encoder).eval()


def _stock_model(config: ModelConfig) -> torch.nn.Module:
    from transformers import ModernBertConfig, ModernBertModel

    written = to_mapping(config, architecture="ModernBertModel", dtype="float32")
    return ModernBertModel._from_config(ModernBertConfig(**written), attn_implementation="sdpa").eval()


def _compare(
    config: ModelConfig,
    ours: Encoder,
    stock: torch.nn.Module,
    workload: str,
    dtype_name: str,
    rounds: int,
    most_seconds: float,
) -> Row:
    lengths = lengths_of(workload)
    documents = _documents(lengths, config.vocab_size)
    dtype = getattr(torch, dtype_name)
    run_ours, run_stock = _ours(ours, documents), _stock(stock, documents)
    ours.float(), stock.float()
    truth = run_stock() if dtype != torch.float32 else None
    ours.to(dtype), stock.to(dtype)
    with torch.inference_mode():
        mine, theirs = run_ours().float(), run_stock().float()
    stock_error = 0.0
    if truth is None:
        error = float((mine - theirs).abs().max())
        assert error < 1e-4, f"{workload}: outputs differ by {error}: nothing to time"
    else:
        error, stock_error = float((mine - truth).abs().max()), float((theirs - truth).abs().max())
        assert error <= 2 * stock_error + 1e-3, f"{workload}: bfloat16 error {error} against stock's {stock_error}"
    rate = matmul_rate(dtype)
    timings = alternate({"ours": run_ours, "stock": run_stock}, rounds=rounds, most_seconds=most_seconds)
    ratio, low, high = paired_ratio(timings["stock"], timings["ours"])
    row = Row(
        workload=workload,
        dtype=dtype_name,
        tokens=sum(lengths),
        ours=_speed(lengths, timings["ours"]),
        stock=_speed(lengths, timings["stock"]),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        rounds=len(timings["ours"].seconds),
        of_matmul=forward_flops(config, lengths) / timings["ours"].median / rate,
        error=error,
        stock_error=stock_error,
    )
    print(
        f"{row.dtype} {row.workload}: {row.ours:,.0f} against {row.stock:,.0f} tokens/s, {row.ratio:.2f}x",
        file=sys.stderr,
    )
    gc.collect()
    return row


def _speed(lengths: list[int], timing: Timing) -> float:
    return sum(lengths) / timing.median


def _documents(lengths: list[int], vocabulary: int) -> list[list[int]]:
    draw = random.Random(1)
    return [[draw.randrange(min(50_000, vocabulary)) for _ in range(length)] for length in lengths]


def _ours(encoder: Encoder, documents: list[list[int]]) -> Callable[[], torch.Tensor]:
    """From lists of ids to hidden states: packing is part of the time."""

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return encoder(Packed.from_lists(documents))

    return run


def _stock(model: torch.nn.Module, documents: list[list[int]]) -> Callable[[], torch.Tensor]:
    """The padded batch is made beforehand; the real tokens' states are taken out, so that outputs can be compared."""
    longest = max(map(len, documents))
    ids = torch.zeros(len(documents), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = torch.tensor(document)
        mask[row, : len(document)] = 1
    is_real = mask.bool()

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return model(input_ids=ids, attention_mask=mask).last_hidden_state[is_real]

    return run


def _peak_growth(config: ModelConfig, contender: str) -> float:
    """In MB. Only one model is ever made here: memory that another had left behind would be used again, unseen."""
    documents = _documents([8192], config.vocab_size)
    run = _ours(_encoder(config), documents) if contender == "ours" else _stock(_stock_model(config), documents)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1e3


def _status(name: str) -> float:
    """In kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name))


def _peak_in_child(size: str, contender: str) -> float:
    command = [sys.executable, __file__, "--size", size, "--peak-of", contender]
    return float(
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    )


def _table(rows: list[Row]) -> list[str]:
    lines = [
        "| workload | dtype | tokens | ours | stock | ratio (range) | rounds | of matmul | largest difference |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        error = f"{row.error:.1e}" + (f" (stock {row.stock_error:.1e})" if row.stock_error else "")
        lines.append(
            f"| {row.workload} | {row.dtype} | {row.tokens:,} | {row.ours:,.0f} | {row.stock:,.0f} | "
            f"{row.ratio:.2f} ({row.ratio_low:.2f}–{row.ratio_high:.2f}) | {row.rounds} | {row.of_matmul:.0%} | {error} |"
        )
    return lines


def _page(size: str, rows: list[Row], machine: Machine) -> str:
    lines = [
        "# Benchmarks",
        "",
        "*Written by `python benchmarks/encode.py`; no number here is typed by hand.*",
        "",
        f"ModernBERT-{size} shape, random weights, real (unpadded) tokens a second, medians. Ours and stock transformers (sdpa) "
        "alternate in one run with the same weights and inputs; outputs are checked equal before timing. The range of the "
        'ratio is over rounds. "Of matmul" is our FLOP/s over this machine\'s matrix-multiply rate measured just before.',
        "",
        f"{date.today().isoformat()} · {machine.cpu} · {machine.cores} cores · {machine.threads} threads · "
        f"Python {machine.python} · " + " · ".join(f"{name} {number}" for name, number in machine.packages.items()),
        "",
        *_table(rows),
    ]
    lines += [
        "",
        '"variable" is 32 documents of N(256, 128) tokens, cut to 16..512, as one batch. The difference in bfloat16 is from '
        "stock in float32.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
