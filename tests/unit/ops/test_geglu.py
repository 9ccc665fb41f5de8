"""The gated activation."""

from typing import get_args

import pytest
import torch
from torch import nn

from modernbert.model.config import Activation
from modernbert.ops.geglu import ACTIVATIONS, gated
from support.close import assert_exact, assert_fp32

TWINS = {
    "gelu": nn.GELU(),
    "gelu_pytorch_tanh": nn.GELU(approximate="tanh"),
    "gelu_new": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "swish": nn.SiLU(),
    "relu": nn.ReLU(),
}


def test_a_config_can_name_every_activation_and_no_other():
    assert set(get_args(Activation)) == ACTIVATIONS.keys() == TWINS.keys()


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("grad", [True, False], ids=["training", "inference"])
def test_the_first_half_is_activated_and_the_second_gates(name, grad):
    both = 2 * torch.randn(7, 10)
    given = both.clone()
    with torch.set_grad_enabled(grad):
        found = gated(both, name)
    assert_fp32(found, TWINS[name](both[:, :5].double()) * both[:, 5:].double())
    assert_exact(both, given)


@pytest.mark.parametrize("name", TWINS)
def test_gradients_are_right(name):
    both = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: gated(x, name), (both,))


def test_stock_activations_of_the_same_name_agree():
    from transformers.activations import ACT2FN

    x = torch.linspace(-4, 4, 101, dtype=torch.float64)
    for name, activation in ACTIVATIONS.items():
        assert_fp32(activation(x), ACT2FN[name](x), name=name)
