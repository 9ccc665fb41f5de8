"""LayerNorm in front of a matrix product: under autocast its result is written in the product's numbers at once.

Autocast computes a norm in float32, and rounds its output, which nobody else reads, when the product asks for it: that is the
same numbers by way of one more pass over memory, and one more in the backward pass.

Shapes:  T tokens   D width
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.module import _has_any_global_hook

from modernbert.ops import _native_rows


def normed(norm: nn.Module, x_TD: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
    """What `norm` makes of `x_TD`, for a linear layer to read."""
    if _is_rounded_next(x_TD) and _is_plain(norm) and _native_rows.can_norm(x_TD):
        return _Norm.apply(x_TD, norm.weight, norm.eps)
    return norm(x_TD)


def _is_rounded_next(x: Tensor) -> bool:
    is_cast = x.device.type == "cpu" and x.dtype == torch.float32 and torch.is_autocast_enabled("cpu")
    return is_cast and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _is_plain(norm: nn.Module) -> bool:
    """A norm that nothing else hears of: no hook, no wrapper."""
    if (
        type(norm) is not nn.LayerNorm
        or norm.bias is not None
        or norm.weight.dtype != torch.float32
        or _has_any_global_hook()
    ):
        return False
    return not (norm._forward_hooks or norm._forward_pre_hooks or norm._backward_hooks or norm._backward_pre_hooks)


class _Norm(torch.autograd.Function):
    """Keeps its input, of which mean and deviation are taken again."""

    @staticmethod
    def forward(ctx: FunctionCtx, x_TD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x_TD, weight_D)
        ctx.eps = eps  # type: ignore[attr-defined]
        return _native_rows.norm(x_TD, weight_D, eps, torch.bfloat16)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_TD: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x_TD, weight_D = ctx.saved_tensors  # type: ignore[attr-defined]
        eps: float = ctx.eps  # type: ignore[attr-defined]
        if torch.is_grad_enabled():  # this gradient is to be differentiated
            out_TD = F.layer_norm(x_TD, weight_D.shape, weight_D, eps=eps)
            return *torch.autograd.grad(out_TD, (x_TD, weight_D), grad_TD.float(), create_graph=True), None
        return *_native_rows.norm_backward(x_TD, weight_D, eps, grad_TD), None
