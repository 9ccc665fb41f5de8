"""Attention by itself, as a share of the matrix-multiply rate: our CPU kernels and torch's, forward, and forward and backward.

    python benchmarks/kernels.py    # about three minutes; writes docs/benchmarks-kernels.md

Documents are equally long here, so that torch's own attention runs on them without padding. What a window hides counts for
nothing, whoever computes it. Outputs are compared before anything is timed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from modernbert.bench.machine import Machine, examine
from modernbert.bench.timing import Timing, alternate, paired_ratio
from modernbert.core.files import write_atomically
from modernbert.core.script import as_script
from modernbert.model.counts import pairs_in_window
from modernbert.ops.attention import attend
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-kernels.md"

HEADS, SIZE, REACH = 12, 64, 64
"""ModernBERT-base."""
WORKLOADS = ((256, 32), (8, 512), (2, 2048), (1, 8192))
"""Documents and their length."""
MATMUL, OURS, TORCH, TRAINING, TORCH_TRAINING = "matmul", "ours", "torch", "training", "torch's training"
BACKWARD = 3.5
"""FLOPs of forward and backward, which computes the scores once more, over those of the forward pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One workload through one window; shares of the matrix-multiply rate are median, lowest, highest over rounds."""

    documents: int
    length: int
    window: Window
    matmul: float
    """FLOP/s."""
    shares: dict[str, tuple[float, float, float]]
    rounds: int
    error: float
    """Largest difference between ours and torch's, gradients included."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Attention as a share of the matrix-multiply rate.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--most-tokens", type=int, default=8192, help="leave out what is longer in all")
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args(words)
    rows = [
        compare(documents, length, window, options.rounds)
        for documents, length in WORKLOADS
        if documents * length <= options.most_tokens
        for window in (Window.full(), Window.both(REACH))
    ]
    text = page(rows, examine())
    print(text)
    if not options.no_write:
        with write_atomically(PAGE, "w") as file:
            file.write(text)
        print(f"wrote {PAGE}", file=sys.stderr)


def compare(documents: int, length: int, window: Window, rounds: int) -> Row:
    """Time the contenders in turns on `documents` of `length` tokens."""
    packed = Packed.from_lists([[0] * length] * documents)
    q, k, v = (torch.randn(packed.num_tokens, HEADS, SIZE, requires_grad=True) for _ in range(3))
    upstream = torch.randn_like(q)
    flop = 4.0 * SIZE * HEADS * documents * _pairs(length, window)
    wide = torch.randn(1024, 1024)
    flops = {MATMUL: 4 * 2.0 * 1024**3, OURS: flop, TORCH: flop} | dict.fromkeys(
        (TRAINING, TORCH_TRAINING), BACKWARD * flop
    )

    @torch.no_grad()
    def ours() -> Tensor:
        return attend(q, k, v, layout=packed, window=window, backend="native")

    @torch.no_grad()
    def torchs() -> Tensor:
        return _by_rows(q, k, v, documents, length, window)

    def training() -> tuple[Tensor, ...]:
        return torch.autograd.grad(attend(q, k, v, layout=packed, window=window, backend="native"), (q, k, v), upstream)

    def torchs_training() -> tuple[Tensor, ...]:
        return torch.autograd.grad(_by_rows(q, k, v, documents, length, window), (q, k, v), upstream)

    contenders: dict[str, Callable[[], object]] = {
        MATMUL: lambda: [wide @ wide for _ in range(4)],
        OURS: ours, TORCH: torchs, TRAINING: training, TORCH_TRAINING: torchs_training,
    }  # fmt: skip
    pairs = zip((ours(), *training()), (torchs(), *torchs_training()), strict=True)
    error = max(float((one - other).abs().max()) for one, other in pairs)
    assert error < 1e-4, f"ours and torch's differ by {error}: nothing to time"
    timings = alternate(contenders, rounds=rounds, most_seconds=120)
    return Row(
        documents=documents,
        length=length,
        window=window,
        matmul=flops[MATMUL] / timings[MATMUL].median,
        shares={name: _share(timings, flops, name) for name in (OURS, TORCH, TRAINING, TORCH_TRAINING)},
        rounds=len(timings[OURS].seconds),
        error=error,
    )


def _share(timings: dict[str, Timing], flops: dict[str, float], name: str) -> tuple[float, float, float]:
    middle, low, high = paired_ratio(timings[MATMUL], timings[name])
    work = flops[name] / flops[MATMUL]
    return middle * work, low * work, high * work


def _by_rows(q: Tensor, k: Tensor, v: Tensor, documents: int, length: int, window: Window) -> Tensor:
    """As stock transformers with sdpa computes it."""
    q, k, v = (x.view(documents, length, HEADS, SIZE).transpose(1, 2) for x in (q, k, v))
    places = torch.arange(length)
    seen = None if window.is_full else window.allows(places[:, None], places[None, :])
    return scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).reshape(-1, HEADS, SIZE)


def _pairs(length: int, window: Window) -> int:
    """Queries and keys of one document that see each other."""
    return length**2 if window.left is None else pairs_in_window(length, window.left)


def page(rows: Sequence[Row], machine: Machine) -> str:
    lines = [
        "# Benchmarks: attention",
        "",
        "*Written by `python benchmarks/kernels.py`; no number here is typed by hand.*",
        "",
        f"FLOP/s of attention in float32 ({HEADS} heads of {SIZE}) as a share of the rate of a {1024:,} x {1024:,} matrix product, "
        "timed in turns with it; median over rounds, and range. Only keys that a query sees count, so a kernel that computes "
        "hidden ones has a low share. *torch* is `scaled_dot_product_attention` with a document a row, as stock transformers "
        "calls it. *Training* is forward and backward, which computes the scores once more.",
        "",
        f"{date.today().isoformat()} · {machine.cpu} · {machine.cores} cores · {machine.threads} threads · "
        f"kernels: {machine.kernels.split(':')[0]} · torch {machine.packages['torch']}",
        "",
        f"| documents | window | matmul, GFLOP/s | {OURS} | {TORCH} | {TRAINING} | {TORCH_TRAINING} | rounds | largest difference |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = [f"{middle:.0%} ({low:.0%}–{high:.0%})" for middle, low, high in row.shares.values()]
        window = "all" if row.window.is_full else f"±{row.window.left}"
        lines.append(
            f"| {row.documents:,} x {row.length:,} | {window} | {row.matmul / 1e9:,.0f} | {' | '.join(shares)} | {row.rounds} | {row.error:.0e} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    as_script(main)
