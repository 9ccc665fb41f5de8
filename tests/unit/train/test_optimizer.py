"""StableAdamW of torch-optimi against the paper's formula in plain float64."""

import sys

import pytest
import torch
from torch import nn

from modernbert.core.errors import MissingExtraError
from modernbert.train.config import Optim
from modernbert.train.optimizer import stable_adamw

SETTINGS = Optim(lr=1e-2, betas=(0.9, 0.98), eps=1e-6, weight_decay=9e-4)


class Twin:
    """One tensor, the update of arXiv 2304.13013 (algorithm 2) with fully decoupled weight decay."""

    def __init__(self, weight, decays):
        self.weight, self.decays = weight.double().clone(), decays
        self.first, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.step = 0

    def update(self, gradient, lr):
        gradient = gradient.double()
        self.step += 1
        one, two = SETTINGS.betas
        first_share = one * (1 - one ** (self.step - 1)) / (1 - one**self.step)
        second_share = two * (1 - two ** (self.step - 1)) / (1 - two**self.step)
        self.first = first_share * self.first + (1 - first_share) * gradient
        self.second = second_share * self.second + (1 - second_share) * gradient**2
        rms = (gradient**2 / self.second.clamp(min=SETTINGS.eps**2)).mean().sqrt()
        stable_lr = lr / max(1.0, float(rms))
        if self.decays:
            self.weight *= 1 - stable_lr / SETTINGS.lr * SETTINGS.weight_decay
        self.weight -= stable_lr * self.first / (self.second.sqrt() + SETTINGS.eps)


def test_it_is_the_papers_update():
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    twins = {name: Twin(p.detach(), decays=p.ndim > 1) for name, p in model.named_parameters()}
    optimizer = stable_adamw(model, SETTINGS)
    for step in range(20):
        lr = SETTINGS.lr * (1 - step / 40)
        for group in optimizer.param_groups:
            group["lr"] = lr
        for name, parameter in model.named_parameters():
            scale = 30.0 if step == 10 else 1.0  # a sudden large gradient, which the update clips
            parameter.grad = scale * torch.randn_like(parameter)
            twins[name].update(parameter.grad, lr)
        optimizer.step()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.detach().double(), twins[name].weight, atol=1e-6, rtol=1e-5)


def test_norms_and_biases_do_not_decay():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4, bias=False))
    matrices, vectors = stable_adamw(model, SETTINGS).param_groups
    assert [tuple(p.shape) for p in matrices["params"]] == [(4, 4)]
    assert vectors["weight_decay"] == 0
    assert len(vectors["params"]) == 2


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optimi", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modernbert\[train\]'"):
        stable_adamw(nn.Linear(2, 2), SETTINGS)
