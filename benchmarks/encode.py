"""Encoding: ours against stock transformers sdpa, same weights, same inputs, alternating, outputs checked equal first.

    python benchmarks/encode.py                       # float32 and bfloat16; writes docs/benchmarks.md
    python benchmarks/encode.py --cases 8x512 32x32:bfloat16 --no-write
    python benchmarks/encode.py --device cuda [--compile]    # against sdpa and, where it is installed, flash attention

The weights are random (speed does not depend on them); stock gets what it is best at: right-padded batches with a mask.
Peak memory is measured in a process of its own for each contender.
"""

import argparse
import gc
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from modernbert.bench.machine import Machine, examine
from modernbert.bench.timing import Timing, alternate, paired_ratio
from modernbert.core.script import as_script
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import forward_flops
from modernbert.model.encoder import Encoder
from modernbert.model.hf_config import to_mapping
from modernbert.model.precision import best_precision
from modernbert.model.store import fresh
from modernbert.ops.packed import Packed
from modernbert.ops.roofline import matmul_rate
from peak import growth

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"cpu": ROOT / "docs" / "benchmarks.md", "cuda": ROOT / "docs" / "benchmarks-gpu.md"}
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
ON_A_GPU = ("variable", "64x512", "1024x32", "1x32", "1x8192", "8x8192")
SHORT = ("32x32", "1x32")
"""What is run in bfloat16 on a machine that only emulates it: the others would take an hour and say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    rival: str
    """Which attention of stock transformers."""
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
    parser.add_argument("--device", default="cpu", choices=sorted(PAGES))
    parser.add_argument("--compile", action="store_true", help="ours with Encoder.compiles")
    parser.add_argument("--cases", nargs="+", help="such as 8x512 or 32x32:bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a workload, after which three rounds do")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md as it is")
    parser.add_argument(
        "--memory", action="store_true", help="measure memory again, and leave the page's table as it is"
    )
    parser.add_argument("--peak-of", choices=["ours", "stock"], help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    config, device = SIZES[options.size], options.device
    if options.memory:
        _write_memory(options.size, device)
        return
    if options.peak_of:
        print(json.dumps(_peak_growth(config, options.peak_of, device)))
        return
    ours, stock = _encoder(config, device), _stock_model(config, device)
    ours.compiles = options.compile
    stock.load_state_dict(ours.state_dict())
    rows = []
    for case in options.cases or _default_cases(device):
        workload, _, dtype = case.partition(":")
        rows += [
            _compare(ours, stock, rival, workload, dtype or "float32", options.rounds, options.seconds, device)
            for rival in _rivals(device, dtype or "float32")
        ]
    print("\n".join(_table(rows)))
    if options.no_write:
        return
    del ours, stock
    PAGES[device].write_text(_page(options.size, rows, examine(), is_compiled=options.compile), encoding="utf-8")
    _write_memory(options.size, device)


def _write_memory(size: str, device: str) -> None:
    (laid_out, ours), (_, stock) = (_peak_in_child(size, contender, device) for contender in ("ours", "stock"))
    kept = PAGES[device].read_text(encoding="utf-8").partition(MEMORY)[0].rstrip()
    told = (
        f"{MEMORY} 1 x 8192 in {_dtype_of_memory(device)} adds at its peak: "
        f"ours {ours:,.0f} MB, stock {stock:,.0f} MB ({ours / stock:.0%})."
        + (f" Ours keeps {laid_out:,.0f} MB besides: the weights laid out for the kernels." if device == "cpu" else "")
    )
    PAGES[device].write_text(f"{kept}\n\n{told}\n", encoding="utf-8")
    print(f"wrote {PAGES[device]}", file=sys.stderr)


def _rivals(device: str, dtype: str) -> list[str]:
    from transformers.utils import is_flash_attn_2_available

    has_flash = device == "cuda" and dtype != "float32" and is_flash_attn_2_available()
    return ["sdpa", "flash_attention_2"] if has_flash else ["sdpa"]


def _default_cases(device: str) -> list[str]:
    if device == "cuda":
        return [f"{workload}:bfloat16" for workload in ON_A_GPU]
    has_bfloat16 = best_precision().dtype == torch.bfloat16
    return [*WORKLOADS, *(f"{workload}:bfloat16" for workload in (WORKLOADS if has_bfloat16 else SHORT))]


def _encoder(config: ModelConfig, device: str) -> Encoder:
    return fresh(config, Encoder).eval().to(device)


def _stock_model(config: ModelConfig, device: str) -> torch.nn.Module:
    from transformers import ModernBertConfig, ModernBertModel

    written = to_mapping(config, architecture="ModernBertModel", dtype="float32")
    return ModernBertModel._from_config(ModernBertConfig(**written), attn_implementation="sdpa").eval().to(device)


def _compare(
    ours: Encoder,
    stock: torch.nn.Module,
    rival: str,
    workload: str,
    dtype_name: str,
    rounds: int,
    most_seconds: float,
    device: str,
) -> Row:
    lengths, config = lengths_of(workload), ours.config
    documents = _documents(lengths, config.vocab_size)
    dtype = getattr(torch, dtype_name)
    run_ours, run_stock = _ours(ours, documents, device), _stock(stock, documents, device)
    ours.float(), stock.float()
    stock.set_attn_implementation("sdpa")
    truth = run_stock().float() if dtype != torch.float32 else None
    stock.set_attn_implementation(rival)
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
    rate = matmul_rate(dtype, device)
    timings = alternate({"ours": run_ours, "stock": run_stock}, rounds=rounds, most_seconds=most_seconds)
    ratio, low, high = paired_ratio(timings["stock"], timings["ours"])
    row = Row(
        rival=rival,
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
        f"{row.dtype} {row.workload}, stock {rival}: {row.ours:,.0f} against {row.stock:,.0f} tokens/s, {row.ratio:.2f}x",
        file=sys.stderr,
    )
    gc.collect()
    return row


def _speed(lengths: list[int], timing: Timing) -> float:
    return sum(lengths) / timing.median


def _documents(lengths: list[int], vocabulary: int) -> list[list[int]]:
    draw = random.Random(1)
    return [[draw.randrange(min(50_000, vocabulary)) for _ in range(length)] for length in lengths]


def _ours(encoder: Encoder, documents: list[list[int]], device: str) -> Callable[[], torch.Tensor]:
    """From lists of ids to hidden states: packing, and the way to the device, are part of the time."""

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return _done(encoder(Packed.from_lists(documents, device=device)))

    return run


def _stock(model: torch.nn.Module, documents: list[list[int]], device: str) -> Callable[[], torch.Tensor]:
    """The padded batch is made beforehand, on the device; the real tokens' states are taken out, to be compared."""
    longest = max(map(len, documents))
    ids = torch.zeros(len(documents), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = torch.tensor(document)
        mask[row, : len(document)] = 1
    ids, mask = ids.to(device), mask.to(device)
    is_real = mask.bool()

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return _done(model(input_ids=ids, attention_mask=mask).last_hidden_state[is_real])

    return run


def _done(states: torch.Tensor) -> torch.Tensor:
    """When they are computed, which a GPU does behind the program's back."""
    if states.is_cuda:
        torch.cuda.synchronize()
    return states


def _dtype_of_memory(device: str) -> str:
    return "float32" if device == "cpu" else "bfloat16"


def _peak_growth(config: ModelConfig, contender: str, device: str) -> tuple[float, float]:
    """In MB: what a first, tiny pass leaves behind, and what a pass then adds at its peak.

    Only one model is ever made here: memory that another had left behind would be used again, unseen.
    """
    dtype = getattr(torch, _dtype_of_memory(device))
    is_ours = contender == "ours"
    model = (_encoder(config, device) if is_ours else _stock_model(config, device)).to(dtype)
    small, large = (
        (_ours if is_ours else _stock)(model, _documents([length], config.vocab_size), device) for length in (8, 8192)
    )
    return growth(small, device), growth(large, device)


def _peak_in_child(size: str, contender: str, device: str) -> tuple[float, float]:
    command = [sys.executable, __file__, "--size", size, "--device", device, "--peak-of", contender]
    return tuple(
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    )


def _table(rows: list[Row]) -> list[str]:
    lines = [
        "| workload | dtype | tokens | ours | stock | ratio (range) | rounds | of matmul | largest difference | stock's attention |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        error = f"{row.error:.1e}" + (f" (stock {row.stock_error:.1e})" if row.stock_error else "")
        lines.append(
            f"| {row.workload} | {row.dtype} | {row.tokens:,} | {row.ours:,.0f} | {row.stock:,.0f} | "
            f"{row.ratio:.2f} ({row.ratio_low:.2f}–{row.ratio_high:.2f}) | {row.rounds} | {row.of_matmul:.0%} | {error} | {row.rival} |"
        )
    return lines


def _page(size: str, rows: list[Row], machine: Machine, *, is_compiled: bool) -> str:
    lines = [
        "# Benchmarks",
        "",
        "*Written by `python benchmarks/encode.py`; no number here is typed by hand.*",
        "",
        f"ModernBERT-{size} shape, random weights, real (unpadded) tokens a second, medians. "
        f"Ours{' (compiled)' if is_compiled else ''} and stock transformers alternate in one run with the same weights and "
        "inputs; outputs are checked equal before timing. The range of the ratio is over rounds. "
        '"Of matmul" is our FLOP/s over this machine\'s matrix-multiply rate measured just before.',
        "",
        machine.line(),
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
    as_script(main)
