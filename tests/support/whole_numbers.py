"""The slow twin of the CPU kernels' int8: the same rounding, in plain PyTorch, sums exact.

Shapes:  T tokens   N rows of a weight   K its columns
"""

import copy

from torch import Tensor, nn


class RoundedLinear(nn.Module):
    """A linear layer whose weight is rounded to 8 bits a row, and its input to 16 bits (or fewer, if long) a token."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        worth_N1 = linear.weight.detach().abs().amax(1, keepdim=True).float() / 127
        self.weight = linear.weight
        self.whole_NK = (linear.weight.detach().float() / worth_N1.clamp(min=1e-38)).round().double()
        self.worth_N = worth_N1.squeeze(1).double()

    def forward(self, x_TK: Tensor) -> Tensor:
        """float64 in between, where every whole number up to 2^53 is exact."""
        limit = min(32767, (2**31 - 1) // (127 * x_TK.shape[-1]))
        largest_T1 = x_TK.abs().amax(-1, keepdim=True).double()
        whole_TK = (x_TK.double() * (limit / largest_T1.clamp(min=1e-300))).round()
        sums_TN = whole_TK @ self.whole_NK.t()
        assert sums_TN.abs().max() < 2**31, "32 bits would overflow"
        return (sums_TN * self.worth_N * (largest_T1 / limit)).to(x_TK.dtype)


def rounded_twin(encoder: nn.Module) -> nn.Module:
    """A copy in float64 but for the weights, which were rounded as float32."""
    twin = copy.deepcopy(encoder).double()
    for layer in twin.layers:
        for part, name in ((layer.attn, "Wqkv"), (layer.attn, "Wo"), (layer.mlp, "Wi"), (layer.mlp, "Wo")):
            setattr(part, name, RoundedLinear(getattr(part, name)))
    return twin
