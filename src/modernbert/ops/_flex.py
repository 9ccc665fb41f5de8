"""Attention through FlexAttention: the window and the documents as a mask function, compiled on CUDA.

Off CUDA it runs uncompiled, which writes the whole score matrix: good for comparing, never chosen by itself.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import cast

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
    """Same contract as `ops.attention.attend`."""
    assert dropout == 0.0, "why_not refused this"
    heads = [x_THK.transpose(0, 1)[None] for x_THK in (q, k, v)]
    block_mask = layout.derived(("flex", window), lambda: _block_mask(layout, window))
    out_1HTK = _kernel(q.device.type == "cuda")(*heads, block_mask=block_mask)
    return cast(Tensor, out_1HTK)[0].transpose(0, 1)


def why_not(dropout: float) -> str | None:
    """Why the kernel cannot run this, or nothing when it can."""
    return "it has no attention dropout" if dropout else None


@lru_cache
def _kernel(compiled: bool) -> Callable[..., object]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention


def _block_mask(layout: Packed, window: Window) -> object:
    from torch.nn.attention.flex_attention import create_block_mask

    documents, positions, tokens = layout.documents, layout.positions, layout.num_tokens
    return create_block_mask(  # a lambda: torch counts its arguments, which a function wrapped for type checks hides
        lambda _batch, _head, query, key: (
            (documents[query] == documents[key]) & window.allows(positions[query], positions[key])
        ),
        B=None, H=None, Q_LEN=tokens, KV_LEN=tokens, device=str(layout.device),
    )  # fmt: skip
