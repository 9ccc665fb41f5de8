"""The one tolerance policy. Cosine is not in it: it hides wrong norms and single bad tokens.

exact   integers, layouts, refactors: bit for bit
fp32    absolute and relative 1e-5 against float64
half    at most twice the error of plain torch in the same dtype (FlashAttention's own rule), plus a floor
"""

from collections.abc import Mapping

import torch
from torch import Tensor

FP32 = 1e-5


def assert_exact(actual: Tensor, expected: Tensor) -> None:
    """Same shape, same dtype, same bits."""
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert torch.equal(actual, expected), f"{int((actual != expected).sum())} of {actual.numel()} values differ"


def assert_fp32(actual: Tensor, truth: Tensor, *, name: str = "value") -> None:
    """Every single number within 1e-5, absolute plus relative, of a float64 truth."""
    assert truth.dtype == torch.float64, f"the truth of {name} is {truth.dtype}"
    assert actual.shape == truth.shape, f"{name}: {tuple(actual.shape)} is not {tuple(truth.shape)}"
    excess = error(actual, truth)
    assert excess <= FP32, f"{name}: off by {excess:.1e} (absolute plus relative), allowed {FP32:.0e}"


def assert_all_fp32(actual: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> None:
    """The same names on both sides, and every tensor by `assert_fp32`."""
    assert actual.keys() == truth.keys()
    for name in truth:
        assert_fp32(actual[name], truth[name], name=name)


def assert_half(actual: Tensor, *, plain: Tensor, truth: Tensor) -> None:
    """At most twice as far from the float64 truth as plain torch is in the same half precision."""
    assert (actual.dtype, actual.shape) == (plain.dtype, plain.shape)
    assert actual.dtype in (torch.bfloat16, torch.float16)
    assert truth.dtype == torch.float64
    assert bool(actual.isfinite().all())
    floor = FP32 + torch.finfo(actual.dtype).eps / 8 * float(truth.abs().max())
    ours, theirs = (float((half.double() - truth).abs().max()) for half in (actual, plain))
    assert ours <= 2 * theirs + floor, f"off by {ours:.1e}; plain torch in {actual.dtype} only by {theirs:.1e}"


def error(actual: Tensor, truth: Tensor) -> float:
    """Largest difference, each divided by 1 + |truth|; infinite where something is not a number."""
    if actual.numel() == 0:
        return 0.0
    actual, truth = actual.detach().double(), truth.detach()
    differences = (actual - truth).abs() / (1 + truth.abs())
    return float(differences.nan_to_num(nan=torch.inf).max())
