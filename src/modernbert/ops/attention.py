"""Attention over a packed batch: one door, five backends that must agree.

    reference   dense, one document after the other, any dtype: the slow twin every other one is compared with
    native      CPU, float32 and bfloat16: the package's own compiled kernels (ops/native)
    blocked     PyTorch alone, every device: banded blocks for windows, grouped documents for full attention
    varlen      CUDA, half precision: torch.nn.attention.varlen, window included, no flash-attn package
    flex        CUDA: compiled FlexAttention, also for holes and for float32

Shapes:  T tokens   H heads   K head size
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.core.errors import UnsupportedError
from modernbert.ops import _blocked, _flex, _native, _reference, _varlen
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window

BackendFunction = Callable[..., Tensor]
Backend = Literal["auto", "reference", "native", "blocked", "varlen", "flex"]

_RUN: dict[str, BackendFunction] = {
    "reference": _reference.attend,
    "native": _native.attend,
    "blocked": _blocked.attend,
    "varlen": _varlen.attend,
    "flex": _flex.attend,
}
_ON_CUDA: tuple[Backend, ...] = ("varlen", "flex", "blocked")
_ELSEWHERE: tuple[Backend, ...] = ("native", "blocked")


def attend(
    q: Float[Tensor, "T H K"],
    k: Float[Tensor, "T H K"],
    v: Float[Tensor, "T H K"],
    *,
    layout: Packed,
    window: Window,
    backend: Backend = "auto",
    dropout: float = 0.0,
) -> Float[Tensor, "T H K"]:
    """softmax(q k' / sqrt(K)) v inside each document, for the keys the window lets a query see.

    Args:
        dropout: probability of dropping an attention weight; zero unless training.

    Raises:
        UnsupportedError: the backend asked for cannot run this; the sentence says why.
    """
    if backend == "auto":
        backend = choose(q.device, q.dtype, q.shape[-1], layout.has_holes, dropout)
    elif problem := why_not(backend, q.device, q.dtype, q.shape[-1], layout.has_holes, dropout):
        raise UnsupportedError(f"attention backend {backend!r} cannot run here: {problem}; use backend='auto'")
    if layout.num_tokens == 0:
        return torch.zeros_like(q)
    return _RUN[backend](q, k, v, layout=layout, window=window, dropout=dropout)


def choose(
    device: torch.device,
    dtype: torch.dtype,
    head_size: int,
    has_holes: bool = False,
    dropout: float = 0.0,
) -> Backend:
    """The fastest backend that can run this. FlexAttention is fast only where it is compiled, on CUDA."""
    candidates = _ON_CUDA if device.type == "cuda" else _ELSEWHERE
    return next(name for name in candidates if why_not(name, device, dtype, head_size, has_holes, dropout) is None)


def why_not(
    backend: str,
    device: torch.device,
    dtype: torch.dtype,
    head_size: int,
    has_holes: bool = False,
    dropout: float = 0.0,
) -> str | None:
    """Why this backend cannot run such heads, or nothing when it can."""
    match backend:
        case "reference" | "blocked":
            return None
        case "native":
            return _native.why_not(device, dtype, head_size, has_holes, dropout)
        case "varlen":
            return _varlen.why_not(device, dtype, head_size, has_holes, dropout)
        case "flex":
            return _flex.why_not(dropout)
    return f"there is no such backend (known: {', '.join(_RUN)})"
