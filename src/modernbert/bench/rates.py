"""The two walls of a machine: how fast it multiplies matrices in each number format, and how fast it moves memory."""

from dataclasses import dataclass

import torch

from modernbert.bench.backends import Dtype
from modernbert.bench.bandwidth import copy_rate
from modernbert.model.precision import best_precision
from modernbert.ops.roofline import matmul_rate


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
        bandwidth=copy_rate(device=device),
    )
