"""The norm in front of a product, under autocast: torch's own in float64, both directions, and when it is left to torch."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modernbert.ops import _native_rows
from modernbert.ops.native.library import library
from modernbert.ops.norm import normed
from support.close import assert_exact, assert_fp32, assert_half
from support.native import needs_native, on_threads

pytestmark = needs_native

EPS = 1e-5


def cast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def norm_of(width, dtype=torch.float32):
    norm = nn.LayerNorm(width, eps=EPS, bias=False).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, width))
    return norm


def both_ways(run, x, norm, upstream, under=nullcontext):
    """What comes out, and the gradients of rows and weight."""
    x = x.detach().clone().requires_grad_()
    with under():
        out = run(norm, x)
    return out.detach(), *torch.autograd.grad(out, (x, norm.weight), upstream.to(out.dtype))


@pytest.mark.parametrize("tokens", [0, 1, 15, 16, 17, 63, 64, 65, 130])
@pytest.mark.parametrize("panels", [1, 3, 8])
def test_it_is_the_formulas_both_ways(panels, tokens):
    width = panels * library().panel
    x = 3 + 2 * torch.randn(tokens, width, dtype=torch.float64)
    upstream = torch.randn(tokens, width).bfloat16().double()
    truth = both_ways(lambda norm, x: norm(x), x.float().double(), norm_of(width, torch.float64), upstream)
    found = both_ways(normed, x.float(), norm_of(width), upstream, cast)
    plain = both_ways(lambda norm, x: norm(x).bfloat16(), x.float(), norm_of(width), upstream, cast)
    assert found[0].dtype == torch.bfloat16
    assert found[1].dtype == found[2].dtype == torch.float32
    if tokens:
        assert_half(found[0], plain=plain[0], truth=truth[0])
    for ours, true in zip(found[1:], truth[1:], strict=True):
        assert_fp32(ours, true)


def test_rows_of_one_value_and_rows_that_are_no_number():
    width = library().panel
    x = torch.stack(
        (torch.full((width,), 7.0), torch.zeros(width), torch.full((width,), torch.nan), torch.randn(width))
    )
    with cast():
        out = normed(norm_of(width), x)
    assert not out[:2].any()
    assert out.isnan().any(1).tolist() == [False, False, True, False]


def test_threads_change_nothing():
    width = 2 * library().panel
    x, upstream = torch.randn(200, width), torch.randn(200, width)
    found = []
    for threads in (1, 2, 3):
        with on_threads(threads):
            found.append(both_ways(normed, x, norm_of(width), upstream, cast))
    for other in found[1:]:
        for ours, first in zip(other, found[0], strict=True):
            assert_exact(ours, first)


def test_a_norm_that_somebody_listens_to_is_called(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the kernel ran")

    monkeypatch.setattr(_native_rows, "norm", refuse)
    width = library().panel
    x, heard = torch.randn(4, width), []
    listened = norm_of(width)
    listened.register_forward_hook(lambda *_: heard.append(1))
    with cast():
        for norm in (listened, nn.Identity(), nn.LayerNorm(width), nn.RMSNorm(width)):
            assert_exact(normed(norm, x), norm(x))
        assert_exact(normed(norm_of(width + 2), torch.ones(2, width + 2)), torch.zeros(2, width + 2))
        with pytest.raises(AssertionError, match="the kernel ran"):
            normed(norm_of(width), x)
    assert heard == [1, 1]
    assert_exact(normed(norm_of(width), x), norm_of(width)(x))
    with torch.autocast("cpu", dtype=torch.float16):
        assert normed(norm_of(width), x).shape == x.shape


def test_its_gradient_can_be_differentiated():
    width = library().panel
    x = torch.randn(5, width)

    def twice(run, x, norm, under):
        x = x.detach().clone().requires_grad_()
        with under():
            out = run(norm, x)
        (first,) = torch.autograd.grad(out.float().sin().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    def formula(norm, x):
        return F.layer_norm(x, (width,), norm.weight, eps=EPS)

    truth = twice(formula, x.double(), norm_of(width, torch.float64), nullcontext)
    plain = twice(lambda norm, x: formula(norm, x).bfloat16(), x, norm_of(width), cast)
    assert_half(twice(normed, x, norm_of(width), cast).bfloat16(), plain=plain.bfloat16(), truth=truth)
