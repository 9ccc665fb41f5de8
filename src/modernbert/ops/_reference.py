"""Attention as the formula says it, one document after the other: slow, dense, any dtype.

Documents never share a computation here, so changing one changes no bit of another.
"""

import math
from itertools import pairwise

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
    """Full score matrix, window and softmax, then the weighted values."""
    outputs = []
    for start, end in pairwise(layout.offsets):
        own = slice(start, end)
        scores_HTT = torch.einsum("qhk,shk->hqs", q[own], k[own]) / math.sqrt(q.shape[-1])
        positions = layout.positions[own]
        seen_TT = window.allows(positions[:, None], positions[None, :])
        weights_HTT = scores_HTT.masked_fill(~seen_TT, -math.inf).softmax(-1)
        weights_HTT = torch.dropout(weights_HTT, dropout, train=dropout > 0)
        outputs.append(torch.einsum("hqs,shk->qhk", weights_HTT, v[own]))
    return torch.cat(outputs)
