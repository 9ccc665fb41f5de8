"""Gated activation of the feed-forward block (GeGLU, Shazeer, arXiv 2002.05202).

Shapes:  T tokens   F gate width (half of what `Wi` puts out)
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

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
    value, gate = both.chunk(2, dim=-1)
    active = ACTIVATIONS[activation](value)
    return active * gate if torch.is_grad_enabled() else active.mul_(gate)
