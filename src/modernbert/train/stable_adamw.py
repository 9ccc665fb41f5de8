# pyright: reportPrivateImportUsage=false
# Torch gives its operations on lists of tensors no public name; its own optimizers use these.
"""StableAdamW (Wortsman et al., arXiv 2304.13013, algorithm 2), for plain parameters and for FSDP2's shards.

Not torch-optimi's, with which a test compares it: that one asks the device for a number per parameter and step wherever
Triton does not run, and its checkpoints remember whether Triton ran, so that a run from a GPU fails on a CPU.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate
from torch.optim.optimizer import Optimizer


class StableAdamW(Optimizer):
    """AdamW whose step on a tensor shrinks by the RMS of its gradient over its history, where that is above 1.

    Groups carry `lr`, `betas`, `eps` and `weight_decay`; the decay is torch's, a factor of 1 - lr * weight_decay a step,
    and shrinks with the step. Nothing waits for the device.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every parameter that has a gradient; gradients stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            stable_adamw_(group, self.state)
        return loss


def stable_adamw_(group: dict[str, Any], state: dict[Tensor, Any]) -> None:
    """One update of a group's parameters in place; `state` gets `step`, `exp_avg` and `exp_avg_sq` of each."""
    alike: dict[Any, list[Tensor]] = defaultdict(list)
    for parameter in group["params"]:
        if parameter.grad is None:
            continue
        own = state[parameter]
        if not own:
            # The count lives on the CPU, where reading it waits for nothing.
            own["step"] = torch.tensor(0.0, device="cpu")
            own["exp_avg"] = torch.zeros_like(parameter)
            own["exp_avg_sq"] = torch.zeros_like(parameter)
        own["step"] += 1
        layout = (parameter.device_mesh, parameter.placements) if isinstance(parameter, DTensor) else None
        alike[parameter.device, parameter.dtype, layout, int(own["step"])].append(parameter)
    for (_, _, _, step), parameters in alike.items():
        _update(parameters, [state[parameter] for parameter in parameters], step, group)


def _update(parameters: list[Tensor], states: list[dict[str, Tensor]], step: int, group: dict[str, Any]) -> None:
    weights = [local(parameter) for parameter in parameters]
    gradients = [local(parameter.grad) for parameter in parameters if parameter.grad is not None]
    first = [local(own["exp_avg"]) for own in states]
    second = [local(own["exp_avg_sq"]) for own in states]
    one, two = (_debiased(beta, step) for beta in group["betas"])

    torch._foreach_lerp_(first, gradients, 1 - one)
    torch._foreach_mul_(second, two)
    torch._foreach_addcmul_(second, gradients, gradients, 1 - two)

    roots = torch._foreach_sqrt(second)
    surprise = torch._foreach_div(gradients, torch._foreach_clamp_min(roots, group["eps"]))
    lrs = group["lr"] / _rms(surprise, parameters).clamp(min=1.0)
    if group["weight_decay"]:
        torch._foreach_mul_(weights, list((1 - lrs * group["weight_decay"]).unbind()))
    torch._foreach_add_(roots, group["eps"])
    updates = torch._foreach_div(first, roots)
    torch._foreach_mul_(updates, list((-lrs).unbind()))
    torch._foreach_add_(weights, updates)


def _debiased(beta: float, step: int) -> float:
    """The share of the past that makes the average unbiased without a correction: 0 at the first step, then towards beta."""
    return beta * (1 - beta ** (step - 1)) / (1 - beta**step)


def _rms(shards: tuple[Tensor, ...], parameters: list[Tensor]) -> Tensor:
    """Root mean square of each whole tensor, of which this device may hold a shard; one exchange for all of them."""
    norms = torch._foreach_norm(shards)
    torch._foreach_mul_(norms, [max(1, parameter.numel()) ** -0.5 for parameter in parameters])
    squares = torch.stack(norms).square()
    whole = parameters[0]
    if isinstance(whole, DTensor):
        spread = [Partial() if placement.is_shard() else Replicate() for placement in whole.placements]
        squares = DTensor.from_local(squares, whole.device_mesh, spread, run_check=False).full_tensor()
    return squares.sqrt()


def local(tensor: Tensor) -> Tensor:
    """This device's shard, sharing its memory, or the tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
