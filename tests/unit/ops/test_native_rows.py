"""Rotation and gate of the compiled kernels against plain formulas in float64, both directions, at every size they take or leave."""

import pytest
import torch
import torch.nn.functional as F

from modernbert.ops import _native_rows
from modernbert.ops.geglu import gated
from modernbert.ops.native.library import library
from modernbert.ops.rope import Rope
from support.close import assert_exact, assert_fp32, assert_half
from support.native import needs_native

pytestmark = needs_native

TOKENS = (0, 1, 15, 16, 17, 33)
"""Around the 16 rows of a task."""


def split(qkv, rope):
    """By the formula."""
    cos, sin = (table.to(qkv.dtype)[:, None, None] for table in (rope.cos, rope.sin))
    near, far = qkv[:, :2].chunk(2, dim=-1)
    turned = torch.cat((near * cos - far * sin, far * cos + near * sin), dim=-1)
    return turned[:, 0], turned[:, 1], qkv[:, 2]


def gate(both):
    value, gate = both.chunk(2, dim=-1)
    return F.gelu(value) * gate


def both_ways(run, x, *upstream):
    """What comes out, and the gradient."""
    x = x.detach().clone().requires_grad_()
    found = run(x)
    outs = found if isinstance(found, tuple) else (found,)
    return *(out.detach() for out in outs), *torch.autograd.grad(outs, x, [each.to(x.dtype) for each in upstream])


def rope_for(tokens, size):
    return Rope.at(torch.arange(tokens) * 37, theta=10_000.0, head_size=size, longest=37 * tokens + 1)


def refuse(*_, **__):
    raise AssertionError("the kernel ran")


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_heads_are_turned_and_turned_back_as_by_the_formula(size, tokens):
    rope, qkv = rope_for(tokens, size), torch.randn(tokens, 3, 2, size, dtype=torch.float64)
    upstream = torch.randn(3, tokens, 2, size, dtype=torch.float64)
    assert _native_rows.can_turn(qkv.float())
    truth = both_ways(lambda x: split(x, rope), qkv, *upstream)
    for found, true in zip(both_ways(rope.split, qkv.float(), *upstream), truth, strict=True):
        assert_fp32(found, true)
    halves = [both_ways(run, qkv.bfloat16(), *upstream) for run in (rope.split, lambda x: split(x, rope))]
    truth = both_ways(lambda x: split(x, rope), qkv.bfloat16().double(), *upstream.bfloat16().double())
    for found, plain, true in zip(*halves, truth, strict=True):
        if tokens:
            assert_half(found, plain=plain, truth=true)


def test_heads_and_their_gradients_may_lie_anyhow():
    rope = rope_for(20, 64)
    qkv = torch.randn(20, 2, 3, 64, dtype=torch.float64).transpose(1, 2)
    upstream = torch.randn(3, 2, 20, 64, dtype=torch.float64).transpose(1, 2)
    truth = both_ways(lambda x: split(x, rope), qkv, *upstream)
    found = both_ways(lambda x: rope.split(x.transpose(1, 2).contiguous().transpose(1, 2)), qkv.float(), *upstream)
    for ours, true in zip(found, truth, strict=True):
        assert_fp32(ours, true)


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("panels", [1, 3, 12])
def test_the_gate_is_the_formulas_both_ways(panels, tokens):
    both = 3 * torch.randn(tokens, panels * library().panel, dtype=torch.float64)
    upstream = torch.randn(tokens, both.shape[1] // 2, dtype=torch.float64)
    assert _native_rows.can_gate(both.float())
    for found, true in zip(both_ways(gated, both.float(), upstream), both_ways(gate, both, upstream), strict=True):
        assert_fp32(found, true)
    halves = [both_ways(run, both.bfloat16(), upstream) for run in (gated, gate)]
    truth = both_ways(gate, both.bfloat16().double(), upstream.bfloat16().double())
    for found, plain, true in zip(*halves, truth, strict=True):
        if tokens:
            assert_half(found, plain=plain, truth=true)


def test_the_gate_is_right_far_out_and_at_nought():
    value = torch.tensor(
        [0.0, -0.0, 1e-30, 3e-8, 5.5, -5.5, 9, -9, 13, -13, 40, -40, 1e4, -1e4, 1e18, -1e18], dtype=torch.float64
    )
    value = value.repeat(library().panel // 16 or 1)[: library().panel // 2].expand(2, -1)
    both, upstream = torch.cat((value, torch.ones_like(value)), dim=1), torch.ones_like(value)
    for found, true in zip(both_ways(gated, both.float(), upstream), both_ways(gate, both, upstream), strict=True):
        assert_fp32(found, true)


def test_what_is_no_number_stays_in_its_place():
    both = torch.zeros(3, 2 * library().panel)
    both[1, 2] = torch.nan
    assert gated(both).isnan().nonzero().tolist() == [[1, 2]]


def test_other_dtypes_sizes_and_activations_are_left_to_torch(monkeypatch):
    for name in ("turned_apart", "turned_back"):
        monkeypatch.setattr(f"modernbert.ops.rope.{name}", refuse)
    for name in ("gate", "gate_backward"):
        monkeypatch.setattr(_native_rows, name, refuse)
    width = library().panel
    for dtype, columns, activation in [
        (torch.float64, width, "gelu"), (torch.float16, width, "gelu"), (torch.float32, width + 2, "gelu"), (torch.float32, width, "silu"),
    ]:  # fmt: skip
        gated(torch.randn(2, columns, dtype=dtype), activation)
    for dtype, size in [(torch.float64, 64), (torch.float16, 64), (torch.float32, 24)]:
        rope_for(3, size).split(torch.randn(3, 3, 2, size, dtype=dtype))
    for run in (lambda: gated(torch.randn(2, width)), lambda: rope_for(3, 64).split(torch.randn(3, 3, 2, 64))):
        with pytest.raises(AssertionError, match="the kernel ran"):
            run()


def test_second_derivatives_are_the_formulas():
    both = torch.randn(5, library().panel, dtype=torch.float64)
    rope, qkv = rope_for(5, 64), torch.randn(5, 3, 1, 64, dtype=torch.float64)

    def twice(run, x):
        x = x.detach().clone().requires_grad_()
        (first,) = torch.autograd.grad(run(x), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    assert_fp32(twice(lambda x: gated(x).sum(), both.float()), twice(lambda x: gate(x).sum(), both))
    squares = [
        lambda x, by=by: sum(part.square().sum() for part in by(x)) for by in (rope.split, lambda x: split(x, rope))
    ]
    assert_fp32(twice(squares[0], qkv.float()), twice(squares[1], qkv))


def test_inputs_stay_as_they_were():
    both = torch.randn(5, library().panel)
    kept = both.clone()
    both_ways(gated, both, torch.randn(5, library().panel // 2))
    assert_exact(both, kept)
