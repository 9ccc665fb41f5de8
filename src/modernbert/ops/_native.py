"""Attention through the package's own CPU kernels: float32, both windows, documents apart, nothing of size L x L.

Scores live in the processor's first cache, a tile at a time; tiny documents share tasks. No backward pass.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.ops.native.library import library
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
    kernels = library()
    assert kernels is not None, "why_not refused this"
    heads, size = q.shape[1:]
    out_THK = torch.empty(q.shape)
    kernels.call(
        "attend", *_rows(q, k, v), out_THK, heads, size, offsets64(layout), layout.num_documents,
        FAR if window.left is None else window.left, FAR if window.right is None else window.right,
        torch.get_num_threads(),
    )  # fmt: skip
    return out_THK


def why_not(
    device: torch.device, dtype: torch.dtype, head_size: int, has_holes: bool, dropout: float, needs_grad: bool
) -> str | None:
    """Why the kernel cannot run this, or nothing when it can."""
    if device.type != "cpu":
        return f"it needs a CPU: found {device.type}"
    if dtype != torch.float32:
        return f"it computes in float32: found {str(dtype).removeprefix('torch.')}"
    if torch.compiler.is_compiling():
        return "a compiled graph cannot hold it"
    if needs_grad:
        return "it has no backward pass"
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


def _rows(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor, int]:
    """The three as they are when they have the same regular strides, copied when not; and that stride."""
    heads, size = q.shape[1:]
    if q.stride() == k.stride() == v.stride() and q.stride()[1:] == (size, 1):
        return q, k, v, q.stride(0)
    return q.contiguous(), k.contiguous(), v.contiguous(), heads * size
