"""Attention through the package's own CPU kernels: float32 and bfloat16, both windows, documents apart, nothing of size L x L.

Scores live in the processor's first cache, a tile at a time; tiny documents share tasks. The backward pass computes them again
from what the forward pass keeps of each row: its largest score and its weights' sum.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from modernbert.core.errors import UnsupportedError
from modernbert.ops.native.library import NUMBERS, Library, library
from modernbert.ops.native.library import why_not as no_library
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window

FAR = 1 << 40
"""As many tokens as no document has: a window's end where there is none."""


def attend(
    q: Float[Tensor, "T H K"],
    k: Float[Tensor, "T H K"],
    v: Float[Tensor, "T H K"],
    *,
    layout: Packed,
    window: Window,
    dropout: float = 0.0,
) -> Float[Tensor, "T H K"]:
    """Same contract as `ops.attention.attend`."""
    assert dropout == 0.0, "why_not refused this"
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return _Attend.apply(q, k, v, layout, window)
    q, k, v = _rows(q, k, v)
    return _forward(q, k, v, layout, window, None)


class _Attend(torch.autograd.Function):
    """Keeps the output and, of each row, two numbers with which its weights are computed again."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, layout: Packed, window: Window) -> Tensor:
        q, k, v = _rows(q, k, v)
        norms_TH2 = torch.empty((*q.shape[:2], 2), dtype=torch.float32)
        out_THK = _forward(q, k, v, layout, window, norms_TH2)
        ctx.save_for_backward(q, k, v, out_THK, norms_TH2)
        ctx.layout, ctx.window = layout, window  # type: ignore[attr-defined]
        return out_THK

    @staticmethod
    def backward(ctx: FunctionCtx, grad_THK: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise UnsupportedError(
                "attention was asked for a gradient to be differentiated again (create_graph=True), expected a first "
                "derivative: take backend='reference', the only one that has a second"
            )
        q, k, v, out_THK, norms_TH2 = ctx.saved_tensors  # type: ignore[attr-defined]
        layout, window = ctx.layout, ctx.window  # type: ignore[attr-defined]
        heads, size = q.shape[1:]
        grads = q.new_empty(3, *q.shape)
        _kernels().call(
            "attend_backward", NUMBERS[q.dtype], q, k, v, q.stride(0), out_THK, norms_TH2, grad_THK.contiguous(), *grads,
            grads.stride(1), heads, size, *_seen(layout, window), torch.get_num_threads(),
        )  # fmt: skip
        return *grads, None, None


def _forward(q: Tensor, k: Tensor, v: Tensor, layout: Packed, window: Window, norms_TH2: Tensor | None) -> Tensor:
    heads, size = q.shape[1:]
    out_THK = q.new_empty(q.shape)
    _kernels().call(
        "attend", NUMBERS[q.dtype], q, k, v, q.stride(0), out_THK, 0 if norms_TH2 is None else norms_TH2, heads, size,
        *_seen(layout, window), torch.get_num_threads(),
    )  # fmt: skip
    return out_THK


def _kernels() -> Library:
    kernels = library()
    assert kernels is not None, "why_not refused this"
    return kernels


def _seen(layout: Packed, window: Window) -> tuple[Tensor, int, int, int]:
    """Documents, and how far a query sees in them."""
    left, right = (FAR if end is None else end for end in (window.left, window.right))
    return offsets64(layout), layout.num_documents, left, right


def why_not(device: torch.device, dtype: torch.dtype, head_size: int, has_holes: bool, dropout: float) -> str | None:
    """Why the kernel cannot run this, or nothing when it can."""
    if device.type != "cpu":
        return f"it needs a CPU: found {device.type}"
    if dtype not in NUMBERS:
        return f"it computes in float32 and bfloat16: found {str(dtype).removeprefix('torch.')}"
    if torch.compiler.is_compiling():
        return "a compiled graph cannot hold it"
    if dropout:
        return "it has no attention dropout"
    if has_holes:
        return "documents with holes need positions, which it does not look at"
    if problem := no_library():
        return problem
    kernels = library()
    assert kernels is not None
    return None if kernels.takes_head_size(head_size) else f"it takes heads of {kernels.head_sizes}: found {head_size}"


def offsets64(layout: Packed) -> Tensor:
    """The documents' boundaries as the kernels read them."""
    return layout.derived("offsets64", lambda: torch.tensor(layout.offsets, dtype=torch.int64))


def _rows(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three as they are when they have the same regular strides, copied when not."""
    if q.stride() == k.stride() == v.stride() and q.stride()[1:] == (q.shape[2], 1):
        return q, k, v
    return q.contiguous(), k.contiguous(), v.contiguous()
