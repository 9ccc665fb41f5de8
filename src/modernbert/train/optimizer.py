"""The optimizer of the recipe."""

from torch import nn, optim

from modernbert.core.errors import require
from modernbert.train.config import Optim


def stable_adamw(model: nn.Module, settings: Optim) -> optim.Optimizer:
    """StableAdamW (Wortsman et al., arXiv 2304.13013): AdamW whose step shrinks when gradients outgrow their history.

    It replaces gradient clipping. Matrices decay, norms and biases do not. `lr` of every group is the schedule's to set.

    Raises:
        MissingExtraError: `torch-optimi` is not installed.
    """
    optimi = require("optimi", extra="train")
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return optimi.StableAdamW(
        groups,
        lr=settings.lr,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        decouple_lr=True,
        max_lr=settings.lr,
    )
