"""Attention through FlexAttention: the window and the documents as a mask function, compiled on CUDA.

Off CUDA it runs uncompiled, which writes the whole score matrix: good for comparing, never chosen by itself.
"""

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
    out_1HTK = _kernel(q.device.type == "cuda")(*heads, block_mask=_block_mask(layout, window))
    return cast(Tensor, out_1HTK)[0].transpose(0, 1)


def why_not(dropout: float) -> str | None:
    """Why the kernel cannot run this, or nothing when it can."""
    return "it has no attention dropout" if dropout else None


@lru_cache
def _kernel(compiled: bool):  # noqa: ANN202 (torch's own overloads)
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention


def _block_mask(layout: Packed, window: Window) -> object:
    name = ("flex", window)
    if name not in layout.memo:
        from torch.nn.attention.flex_attention import create_block_mask

        documents, positions = layout.documents, layout.positions

        def seen(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return (documents[query] == documents[key]) & window.allows(positions[query], positions[key])

        tokens = layout.num_tokens
        layout.memo[name] = create_block_mask(seen, None, None, tokens, tokens, device=str(layout.device))
    return layout.memo[name]
