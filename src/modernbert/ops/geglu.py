"""Gated activation of the feed-forward block (GeGLU, Shazeer, arXiv 2002.05202).

Shapes:  T tokens   F gate width (half of what `Wi` puts out)
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from modernbert.ops import _native_rows

ACTIVATIONS = {
    "gelu": F.gelu,  # exact, with erf: what ModernBERT was trained with
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "swish": F.silu,
    "relu": F.relu,
}
"""Names as in a Hugging Face config's `hidden_activation`."""


def gated(both: Float[Tensor, "T both"], activation: str = "gelu") -> Float[Tensor, "T F"]:
    """activation(first half) * second half: the first half of `Wi` is the value, the second the gate."""
    if activation == "gelu" and _native_rows.can_gate(both):
        return _Gelu.apply(both)
    value, gate = both.chunk(2, dim=-1)
    active = ACTIVATIONS[activation](value)
    return active * gate if torch.is_grad_enabled() else active.mul_(gate)


class _Gelu(torch.autograd.Function):
    """Keeps its input alone; in half precision it is rounded once, at the end."""

    @staticmethod
    def forward(ctx: FunctionCtx, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        return _native_rows.gate(both)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:  # type: ignore[override]
        (both,) = ctx.saved_tensors  # type: ignore[attr-defined]
        if torch.is_grad_enabled():  # this gradient is to be differentiated
            value, gate = both.chunk(2, dim=-1)
            return torch.autograd.grad(F.gelu(value) * gate, both, grad, create_graph=True)[0]
        return _native_rows.gate_backward(both, grad)
