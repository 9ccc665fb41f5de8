"""Against the paper's formula in plain float64, and against torch-optimi's implementation."""

import optimi
import pytest
import torch
from torch import nn

from modernbert.train.config import StableAdamW
from modernbert.train.optimizer import make_optimizer, set_rates
from support.close import assert_exact, error

SETTINGS = StableAdamW(lr=1e-2, betas=(0.9, 0.98), eps=1e-6, weight_decay=9e-4)
SHAPES = [(5, 3), (1, 7), (2, 3, 4), (6,), (1,), ()]


class Twin:
    """One tensor; arXiv 2304.13013, algorithm 2, with a decay of (lr / peak) * weight_decay that shrinks with the step."""

    def __init__(self, weight, decays):
        self.weight, self.decays = weight.detach().double().clone(), decays
        self.first, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.step = 0

    def update(self, gradient, *, lr, peak, weight_decay):
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
            self.weight *= 1 - stable_lr / peak * weight_decay
        self.weight -= stable_lr * self.first / (self.second.sqrt() + SETTINGS.eps)
        return float(rms)


def _model():
    model = nn.Module()
    for index, shape in enumerate(SHAPES):
        model.register_parameter(f"p{index}", nn.Parameter(torch.randn(shape)))
    return model


def _gradients(model, step):
    """Sometimes tiny (below eps), once huge (which the update must shrink), and now and then missing for one tensor."""
    for index, parameter in enumerate(model.parameters()):
        scale = {10: 1e3, 20: 1e-8}.get(step, 1.0)
        parameter.grad = None if (step, index) in {(0, 1), (5, 3)} else scale * torch.randn_like(parameter)


def test_it_is_the_papers_update_over_two_stages_with_their_own_peaks():
    model = _model()
    twins = [Twin(parameter, decays=parameter.ndim > 1) for parameter in model.parameters()]
    optimizer = make_optimizer(model, SETTINGS)
    shrunk = 0
    for step in range(50):
        peak = 1e-2 if step < 25 else 3e-3
        rates = {"lr": peak * (1 - step / 100), "peak": peak, "weight_decay": 9e-4 if step < 25 else 0.2}
        _gradients(model, step)
        before = [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()]
        set_rates(optimizer, **rates)
        optimizer.step()
        for parameter, twin, gradient in zip(model.parameters(), twins, before, strict=True):
            if gradient is not None:
                assert_exact(parameter.grad, gradient)  # torch-optimi overwrites it
                shrunk += twin.update(gradient, **rates) > 1
            assert error(parameter, twin.weight) < 1e-6
    assert 10 < shrunk < 290  # both branches were met


def test_it_is_torch_optimis_to_the_last_digits():
    ours, theirs = _model(), _model()
    theirs.load_state_dict(ours.state_dict())
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": 9e-4},
        {"params": [p for p in theirs.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    other = optimi.StableAdamW(groups, lr=1e-2, betas=(0.9, 0.98), eps=1e-6, decouple_lr=True, max_lr=1e-2)
    optimizer = make_optimizer(ours, SETTINGS)
    for step in range(50):
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = (1e3 if step == 10 else 1.0) * torch.randn_like(mine)
            its.grad = mine.grad.clone()
        optimizer.step()
        other.step()
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert error(mine, its.detach().double()) < 2e-6


def test_a_closure_is_called_with_gradients_on():
    model = nn.Linear(2, 2)
    optimizer = make_optimizer(model, SETTINGS)

    def closure():
        loss = model(torch.ones(2)).sum()
        loss.backward()
        return float(loss.detach())

    before = model.weight.detach().clone()
    assert optimizer.step(closure) == pytest.approx(float(model(torch.ones(2)).sum().detach()), abs=1)
    assert not torch.equal(model.weight, before)
