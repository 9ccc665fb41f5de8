"""The recipe's optimizer over a model's parameters, the rates of each step, and the norm of all gradients."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.optimizer import Optimizer

from modernbert.core.errors import UnsupportedError
from modernbert.train.config import AdamW, Muon, Optim, StableAdamW
from modernbert.train.muon import Muon as MuonOptimizer
from modernbert.train.stable_adamw import StableAdamW as StableAdamWOptimizer

_MATRICES = {"Wqkv": 3, "Wi": 2, "Wo": 1}
"""A layer's parameters and how many matrices each holds, one above the other: queries, keys, values; gate and input."""


def make_optimizer(model: nn.Module, settings: Optim) -> Optimizer:
    """The optimizer of `settings` over the parameters that train; call `set_rates` before each step.

    Matrices and embeddings decay, norms and biases do not. Its history is there from the start, all zero: torch would else
    make a step of its own when the state is first asked for, which counts. Loading a state brings the history alone; the
    settings stay those given here. Shard the model before (FSDP2), not after.

    Raises:
        UnsupportedError: Muon, and the model has no layer with a Wqkv, Wi or Wo.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    match settings:
        case StableAdamW():
            groups = _embeddings_apart(_by_decay(named), named, settings.embeddings)
            optimizer = StableAdamWOptimizer(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)
        case AdamW():
            optimizer = torch.optim.AdamW(
                _by_decay(named), lr=settings.lr, betas=settings.betas, eps=settings.eps, weight_decay=0.0, foreach=True
            )
        case Muon():
            optimizer = MuonOptimizer(_muon_groups(named, settings), lr=settings.lr)
    set_rates(optimizer, settings.lr, peak=settings.lr, weight_decay=settings.weight_decay)
    _begin_history(optimizer)
    _keep_settings(optimizer)
    return optimizer


def set_rates(optimizer: Optimizer, lr: float, *, peak: float, weight_decay: float) -> None:
    """Set the next step's learning rate, and its decay: a share of lr / peak * weight_decay of each weight goes.

    `peak` is this stage's: a decay that is told the peak of an earlier stage would shrink with the quotient of both.
    """
    for group in optimizer.param_groups:
        share = group.get("share", 1.0)
        group["lr"] = share * lr
        # Every optimizer here multiplies by 1 - group["lr"] * group["weight_decay"], as torch's do.
        group["weight_decay"] = weight_decay / peak / share if group["decays"] else 0.0


def global_grad_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Norm of all gradients together, over all devices that hold shards; it stays on the device, nothing waits for it."""
    norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def clip(parameters: Iterable[Tensor], norm: Tensor, limit: float) -> None:
    """Shrink all gradients by one factor so that their global norm, which `norm` is, becomes at most `limit`."""
    clip_grads_with_norm_(list(parameters), limit, norm)


def _by_decay(named: list[tuple[str, nn.Parameter]]) -> list[dict[str, Any]]:
    groups = [
        {"params": [parameter for _, parameter in named if parameter.ndim > 1], "decays": True},
        {"params": [parameter for _, parameter in named if parameter.ndim <= 1], "decays": False},
    ]
    return [group for group in groups if group["params"]]


def _embeddings_apart(
    groups: list[dict[str, Any]], named: list[tuple[str, nn.Parameter]], share: float
) -> list[dict[str, Any]]:
    """Token embeddings in a group with that share of the rate; a share of 1 leaves the groups as they are."""
    if share == 1.0:
        return groups
    tables = [parameter for name, parameter in named if name.endswith("tok_embeddings.weight")]
    held = {id(table) for table in tables}
    rest = [{**group, "params": [each for each in group["params"] if id(each) not in held]} for group in groups]
    return [group for group in rest if group["params"]] + [{"params": tables, "decays": True, "share": share}]


def _muon_groups(named: list[tuple[str, nn.Parameter]], settings: Muon) -> list[dict[str, Any]]:
    matrices = {name: number for name, _ in named if (number := _matrices_in(name))}
    if not matrices:
        raise UnsupportedError(
            "optim muon: found no layer with a trainable Wqkv, Wi or Wo, which are what Muon is for: "
            "choose optim.kind stable-adamw"
        )
    groups: list[dict[str, Any]] = []
    for number in sorted(set(matrices.values())):
        params = [parameter for name, parameter in named if matrices.get(name) == number]
        groups.append(
            {"params": params, "decays": True, "matrices": number, "rms": settings.rms, "momentum": settings.momentum}
        )
    others = [(name, parameter) for name, parameter in named if name not in matrices]
    rest = _embeddings_apart(_by_decay(others), others, settings.embeddings)
    return groups + [{**group, "betas": settings.betas, "eps": settings.eps} for group in rest]


def _matrices_in(name: str) -> int:
    path = name.split(".")
    return _MATRICES.get(path[-2], 0) if "layers" in path and path[-1] == "weight" else 0


def _begin_history(optimizer: Optimizer) -> None:
    """Have the optimizer make its state, by a step with no gradient and no rate, which is then not counted."""
    rates = [group["lr"] for group in optimizer.param_groups]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    gradients = [parameter.grad for parameter in parameters]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for own in optimizer.state.values():
        if "step" in own:
            own["step"].zero_()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def _keep_settings(optimizer: Optimizer) -> None:
    """Torch takes the settings out of a checkpoint, too; here the recipe decides them, whatever was trained before."""
    settings = [{key: own for key, own in group.items() if key != "params"} for group in optimizer.param_groups]

    def restore(loaded: Optimizer) -> None:
        for group, own in zip(loaded.param_groups, settings, strict=True):
            group.update(own)

    optimizer.register_load_state_dict_post_hook(restore)
