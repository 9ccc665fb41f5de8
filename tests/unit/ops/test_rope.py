"""Rotary positions: stock's angles bit for bit, stock's rotation, and a gradient that is the rotation the other way."""

import pytest
import torch
from transformers.models.modernbert.modeling_modernbert import ModernBertRotaryEmbedding, apply_rotary_pos_emb

from modernbert.ops.rope import Rope
from support.close import assert_exact, assert_fp32, assert_half, error
from support.tiny import stock_config, tiny_config

POSITIONS = torch.tensor([0, 1, 2, 63, 64, 65, 1023, 1024, 8190, 8191, 20_000])
LONGEST = 20_001


def plain(heads, rope):
    """The formula of RoFormer, each half against the other, in the dtype given."""
    cos, sin = (table.to(heads.dtype)[:, None, None] for table in (rope.cos, rope.sin))
    near, far = heads.chunk(2, dim=-1)
    return torch.cat((near * cos - far * sin, far * cos + near * sin), dim=-1)


@pytest.mark.parametrize("theta", [10_000.0, 160_000.0])
@pytest.mark.parametrize("size", [16, 64])
def test_angles_are_stock_ones_bit_for_bit(theta, size):
    config = tiny_config(hidden_size=2 * size, local_rope_theta=theta)
    stock = ModernBertRotaryEmbedding(stock_config(config))
    cos, sin = stock(torch.zeros(1), POSITIONS[None], "sliding_attention")
    rope = Rope.at(POSITIONS, theta=theta, head_size=size, longest=LONGEST)
    assert_exact(rope.cos, cos[0, :, : size // 2])
    assert_exact(rope.sin, sin[0, :, size // 2 :])


def test_the_rotation_is_stock_one():
    stock = ModernBertRotaryEmbedding(stock_config(tiny_config()))
    cos, sin = stock(torch.zeros(1), POSITIONS[None], "full_attention")
    rope = Rope.at(POSITIONS, theta=160_000.0, head_size=64, longest=LONGEST)
    heads = torch.randn(len(POSITIONS), 2, 3, 64)
    q, k = (heads[:, i].transpose(0, 1)[None] for i in range(2))
    theirs = torch.stack([x[0].transpose(0, 1) for x in apply_rotary_pos_emb(q, k, cos, sin)], dim=1)
    assert_fp32(rope(heads), plain(heads.double(), rope))
    assert_fp32(theirs, plain(heads.double(), rope), name="stock")


def test_position_zero_and_lengths_are_left_alone():
    heads = torch.randn(len(POSITIONS), 2, 3, 16, dtype=torch.float64)
    turned = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)(heads)
    assert_exact(turned[0], heads[0])
    assert_fp32(turned.norm(dim=-1), heads.norm(dim=-1))


@pytest.mark.parametrize("longest", [1, 64, 65, 128, 129, 8192, 8193])
def test_a_table_is_long_enough_for_its_last_position(longest):
    rope = Rope.at(torch.tensor([longest - 1]), theta=500.0, head_size=4, longest=longest)
    frequencies = 1 / 500.0 ** torch.tensor([0, 0.5], dtype=torch.float32)
    assert_exact(rope.cos[0], (torch.tensor(longest - 1.0) * frequencies).cos())


def test_a_second_theta_or_head_size_has_its_own_angles():
    seen = [
        Rope.at(POSITIONS, theta=theta, head_size=size, longest=LONGEST).cos[5].tolist()
        for theta, size in [(10_000.0, 16), (160_000.0, 16), (10_000.0, 32)]
    ]
    assert len({tuple(row) for row in seen}) == 3


def test_the_gradient_is_that_of_the_plain_formula():
    rope = Rope.at(POSITIONS[:5], theta=10_000.0, head_size=4, longest=LONGEST)
    heads = torch.randn(5, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rope, (heads,))
    upstream = torch.randn_like(heads)
    (found,), (truth,) = (torch.autograd.grad(turn, heads, upstream) for turn in (rope(heads), plain(heads, rope)))
    assert error(found, truth) < 1e-14


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rotated_in_float32_and_rounded_once(dtype):
    rope = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)
    heads = torch.randn(len(POSITIONS), 2, 3, 16).to(dtype).requires_grad_()
    assert_exact(rope(heads), rope(heads.float()).to(dtype))
    truth = plain(heads.double(), rope)
    assert_half(rope(heads).detach(), plain=plain(heads, rope).detach(), truth=truth.detach())
    upstream = torch.randn_like(heads)
    (found,), (rough,), (exact,) = (
        torch.autograd.grad(turn, heads, upstream.to(turn.dtype)) for turn in (rope(heads), plain(heads, rope), truth)
    )
    assert_half(found, plain=rough, truth=exact.double())


def test_angles_looked_up_in_inference_can_be_trained_with():
    with torch.inference_mode():
        Rope.at(POSITIONS, theta=123.0, head_size=8, longest=LONGEST)
    heads = torch.randn(len(POSITIONS), 2, 1, 8, requires_grad=True)
    Rope.at(POSITIONS, theta=123.0, head_size=8, longest=LONGEST)(heads).sum().backward()
    assert bool(heads.grad.isfinite().all())


def test_what_a_compiled_graph_computes_is_the_same(monkeypatch):
    heads = torch.randn(len(POSITIONS), 2, 3, 16)
    eager = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)
    turned = eager(heads)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    traced = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)
    assert_exact(traced.cos, eager.cos)
    assert_exact(traced.sin, eager.sin)
    assert_fp32(traced(heads), turned.double())


def by_slices(rope, qkv):
    """The slow twin of `Rope.split`."""
    q, k = rope(qkv[:, :2]).unbind(1)
    return q, k, qkv[:, 2]


def test_splitting_gives_what_slices_give_and_so_does_its_gradient():
    rope = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        qkv = torch.randn(len(POSITIONS), 3, 2, 16).to(dtype).requires_grad_()
        found, truth = rope.split(qkv), by_slices(rope, qkv)
        upstream = [torch.randn_like(part) for part in truth]
        for part, twin in zip(found, truth, strict=True):
            assert_exact(part, twin)
            assert part.is_contiguous()
        assert_exact(*(torch.autograd.grad(parts, qkv, upstream)[0] for parts in (found, truth)))


def test_what_is_split_shares_no_memory_with_the_whole():
    rope = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)
    qkv = torch.randn(len(POSITIONS), 3, 2, 16)
    whole = qkv.untyped_storage().data_ptr()
    assert all(part.untyped_storage().data_ptr() != whole for part in rope.split(qkv))


def test_splitting_in_a_compiled_graph_is_the_same(monkeypatch):
    rope = Rope.at(POSITIONS, theta=10_000.0, head_size=16, longest=LONGEST)
    qkv = torch.randn(len(POSITIONS), 3, 2, 16, requires_grad=True)
    eager = rope.split(qkv)
    upstream = [torch.randn_like(part) for part in eager]
    (gradient,) = torch.autograd.grad(eager, qkv, upstream)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    traced = rope.split(qkv)
    for part, twin in zip(traced, eager, strict=True):
        assert_fp32(part.detach(), twin.detach().double())
    assert_fp32(torch.autograd.grad(traced, qkv, upstream)[0], gradient.double())
