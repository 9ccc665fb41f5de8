"""The two walls of a machine: how fast it multiplies matrices in each number format, and how fast it moves memory."""

import time
from dataclasses import dataclass

import torch

from modernbert.bench.backends import Dtype
from modernbert.model.precision import best_precision
from modernbert.ops.roofline import matmul_rate

_NUMBERS = 32 * 2**20
"""Of a copy: 128 MB, more than any cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Measured, in one second; on a busy machine they are low, as everything is."""

    float32: float
    """FLOP/s."""
    bfloat16: float | None
    """FLOP/s; none where the machine would emulate it."""
    bandwidth: float
    """Bytes/s of a large copy, read and written."""

    def of(self, dtype: Dtype) -> float:
        """FLOP/s in that format. int8 is held against the fastest of the others, since torch has no int8 product here."""
        if dtype == "float32" or self.bfloat16 is None:
            return self.float32
        return self.bfloat16


def measure(device: str) -> Rates:
    """Look at the machine as it is now."""
    has_bfloat16 = best_precision(device).dtype == torch.bfloat16
    return Rates(
        float32=matmul_rate(torch.float32, device),
        bfloat16=matmul_rate(torch.bfloat16, device) if has_bfloat16 else None,
        bandwidth=_bandwidth(device),
    )


def _bandwidth(device: str) -> float:
    source = torch.ones(_NUMBERS, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * 4 * _NUMBERS / sorted(times)[len(times) // 2]
