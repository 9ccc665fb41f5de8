"""Attention through torch.nn.attention.varlen (FlashAttention inside torch): CUDA, half precision."""

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.ops.packed import Packed
from modernbert.ops.window import Window


def attend(
    q: Float[Tensor, "T H K"],
    k: Float[Tensor, "T H K"],
    v: Float[Tensor, "T H K"],
    *,
    layout: Packed,
    window: Window,
    dropout: float = 0.0,
) -> Float[Tensor, "T H K"]:
    """Same contract as `ops.attention.attend`; the kernel's window is inclusive on both sides, like ours."""
    from torch.nn.attention.varlen import varlen_attn

    assert dropout == 0.0, "why_not refused this"
    bounds = (-1, -1) if window.left is None or window.right is None else (window.left, window.right)
    offsets = layout.offsets_on_device
    out = varlen_attn(q, k, v, offsets, offsets, layout.longest, layout.longest, window_size=bounds)
    assert isinstance(out, Tensor)
    return out


def why_not(device: torch.device, dtype: torch.dtype, head_size: int, has_holes: bool, dropout: float) -> str | None:
    """Why the kernel cannot run such heads, or nothing when it can."""
    if device.type != "cuda":
        return f"it needs a CUDA device, found {device.type}"
    if torch.cuda.get_device_properties(device).major < 8:  # unlike the capability, a compiled graph can ask this
        return "it needs a GPU of compute capability 8.0 (Ampere) or newer"
    if dtype not in (torch.bfloat16, torch.float16):
        return f"it takes bfloat16 or float16, found {dtype}"
    if head_size % 8 or head_size > 256:
        return f"it takes head sizes that are multiples of 8 up to 256, found {head_size}"
    if has_holes:
        return "its window counts stream places, and this padded batch has holes"
    if dropout:
        return "it has no attention dropout"
    return None
