"""Against a singular value decomposition in float64."""

import math

import pytest
import torch
from torch import nn

from modernbert.core.errors import UnsupportedError
from modernbert.train.config import Muon, StableAdamW
from modernbert.train.muon import orthogonalize
from modernbert.train.optimizer import make_optimizer, set_rates
from support.close import error
from support.sharded import small

SETTINGS = Muon(lr=1e-2, weight_decay=9e-4)
HALF = 2**-8  # bfloat16 keeps eight bits


def _svd(matrices):
    u, s, v = torch.linalg.svd(matrices.double(), full_matrices=False)
    return u, s, v


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (2, 24, 10), (2, 10, 24)], ids=str)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
@pytest.mark.parametrize(("dtype", "sideways"), [(torch.bfloat16, 20 * HALF), (torch.float32, 1e-4)])
def test_every_matrix_keeps_its_directions_and_loses_its_sizes(shape, scale, dtype, sideways):
    matrices = scale * torch.randn(shape)
    u, _, v = _svd(matrices)
    kept = u.mT @ orthogonalize(matrices, dtype).double() @ v.mT
    sizes = kept.diagonal(dim1=-2, dim2=-1)
    rest = kept - torch.diag_embed(sizes)
    low = 0.6 if scale > 1e-9 else 0.0  # below the smallest norm nothing is blown up
    assert low <= sizes.min()
    assert sizes.max() < 1.3
    assert rest.abs().max() < sideways


def test_a_matrix_of_zeros_stays_zero():
    assert torch.equal(orthogonalize(torch.zeros(2, 4, 3)), torch.zeros(2, 4, 3, dtype=torch.bfloat16))


def test_it_is_the_plain_update_with_every_matrix_on_its_own():
    """The parts of Wqkv and Wi are apart; the scale is Moonlight's; the decay is the stage's."""
    model = small()
    parts = {"Wqkv": 3, "Wi": 2, "Wo": 1}
    matrices = {n: p for n, p in model.named_parameters() if n.split(".")[-2] in parts and n.endswith("weight")}
    assert len(matrices) == 8
    optimizer = make_optimizer(model, SETTINGS)
    momenta = {name: torch.zeros_like(parameter, dtype=torch.float64) for name, parameter in matrices.items()}
    for step in range(5):
        lr, peak, weight_decay = 1e-2 * (1 - step / 10), 2e-2, 0.3
        before = {name: parameter.detach().double().clone() for name, parameter in matrices.items()}
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        set_rates(optimizer, lr, peak=peak, weight_decay=weight_decay)
        optimizer.step()
        for name, parameter in matrices.items():
            momenta[name] = 0.95 * momenta[name] + 0.05 * parameter.grad.double()
            ahead = 0.05 * parameter.grad.double() + 0.95 * momenta[name]
            stays = before[name] * (1 - lr / peak * weight_decay)
            for part, now, kept in zip(
                *(tensor.chunk(parts[name.split(".")[-2]]) for tensor in (ahead, parameter.detach().double(), stays)),
                strict=True,
            ):
                u, _, v = _svd(part)
                sizes = u.mT @ ((kept - now) / (lr * 0.2 * math.sqrt(max(part.shape)))) @ v.mT
                diagonal = sizes.diagonal()
                assert (diagonal > 0.2).all()
                assert (diagonal < 1.3).all()
                assert (sizes - torch.diag(diagonal)).abs().max() < 20 * HALF


def test_an_update_is_as_large_as_adams():
    model = nn.Module()
    model.layers = nn.ModuleList([nn.ModuleDict({"Wi": nn.Linear(64, 256, bias=False)})])
    optimizer = make_optimizer(model, Muon(lr=1.0, weight_decay=0.0))
    (weight,) = model.parameters()
    before = weight.detach().clone()
    weight.grad = torch.randn_like(weight)
    optimizer.step()
    assert 0.12 < float((weight - before).detach().square().mean().sqrt()) < 0.25


def test_all_but_the_layers_matrices_takes_stable_adamws_step():
    ours, theirs = small(), small()
    muon, stable = make_optimizer(ours, SETTINGS), make_optimizer(theirs, _stable())
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.grad = torch.randn_like(mine)
        its.grad = mine.grad.clone()
    muon.step()
    stable.step()
    same = {
        name: torch.equal(mine, its)
        for (name, mine), its in zip(ours.named_parameters(), theirs.parameters(), strict=True)
    }
    assert {name for name, is_same in same.items() if is_same} == {
        "embeddings.weight", "decoder.bias", "last.weight", "last.bias",
        *(f"layers.{n}.{rest}" for n in (0, 1) for rest in ("attn.Wo.bias", "mlp_norm.weight")),
    }  # fmt: skip


def test_a_closure_is_called_with_gradients_on():
    model = small()
    optimizer = make_optimizer(model, SETTINGS)

    def closure():
        loss = model(torch.arange(5)).sum()
        loss.backward()
        return float(loss.detach())

    assert isinstance(optimizer.step(closure), float)


def test_a_model_without_layers_is_told_what_to_choose():
    with pytest.raises(UnsupportedError, match=r"found no layer with a trainable Wqkv, Wi or Wo.*stable-adamw"):
        make_optimizer(nn.Linear(3, 3), SETTINGS)


def test_a_parameter_without_a_gradient_stays():
    model = small()
    optimizer = make_optimizer(model, SETTINGS)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer.step()
    assert all(error(p, before[n].double()) == 0 for n, p in model.named_parameters())


def _stable():
    return StableAdamW(lr=SETTINGS.lr, betas=SETTINGS.betas, eps=SETTINGS.eps, weight_decay=SETTINGS.weight_decay)
