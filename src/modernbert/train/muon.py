"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) beside StableAdamW in one optimizer.

Not `torch.optim.Muon`, which takes a parameter for one matrix: our Wqkv holds three and our Wi two, and each of them is
made orthogonal on its own, as where queries, keys, values, gate and input are layers of their own.

Shapes:  P matrices in a parameter   R rows   C columns
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim.optimizer import Optimizer

from modernbert.model.precision import best_precision
from modernbert.train.stable_adamw import local, stable_adamw_

_ROUNDS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: the steepest at 0 that keeps singular values between 0.7 and 1.2
_TINY = 1e-7


class Muon(Optimizer):
    """Groups with `matrices` (so many stacked in each parameter) take Muon's step, groups without StableAdamW's.

    Muon's groups carry `lr`, `rms`, `momentum` and `weight_decay`, the others what StableAdamW's do. A shard of FSDP2 is gathered,
    and every device computes the whole step of the parameter.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every parameter that has a gradient; gradients stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if "matrices" in group:
                muon_(group, self.state)
            else:
                stable_adamw_(group, self.state)
        return loss


def muon_(group: dict[str, Any], state: dict[Tensor, Any]) -> None:
    """One update of a group's parameters in place; `state` gets the `momentum_buffer` of each."""
    momentum = group["momentum"]
    for parameter in group["params"]:
        if parameter.grad is None:
            continue
        own = state[parameter]
        if not own:
            own["momentum_buffer"] = torch.zeros_like(parameter)
        own["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
        ahead = torch.lerp(parameter.grad, own["momentum_buffer"], momentum)  # Nesterov's
        whole = ahead.full_tensor() if isinstance(ahead, DTensor) else ahead
        step_PRC = orthogonalize(whole.unflatten(0, (group["matrices"], -1)), best_precision(whole.device).dtype)
        step = step_PRC.flatten(0, 1).to(parameter.dtype)
        if isinstance(parameter, DTensor):  # every device has the whole: each takes its shard, and nothing is sent
            step = distribute_tensor(step, parameter.device_mesh, parameter.placements, src_data_rank=None)
        scale = group["rms"] * math.sqrt(max(step_PRC.shape[1:]))
        weight = local(parameter)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(local(step), alpha=-group["lr"] * scale)


def orthogonalize(matrices: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """U V^T of each matrix [P, R, C] = U S V^T, nearly: singular values come out between 0.7 and 1.2, in this dtype.

    Five rounds of Newton-Schulz need products only; those of zero stay zero.
    """
    a, b, c = _QUINTIC
    x_PRC = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp(min=_TINY)
    x_PRC = x_PRC.to(dtype)
    is_tall = x_PRC.shape[1] > x_PRC.shape[2]
    if is_tall:
        x_PRC = x_PRC.mT
    for _ in range(_ROUNDS):
        gram_PRR = x_PRC @ x_PRC.mT
        x_PRC = torch.baddbmm(x_PRC, torch.baddbmm(gram_PRR, gram_PRR, gram_PRR, beta=b, alpha=c), x_PRC, beta=a)
    return x_PRC.mT if is_tall else x_PRC
