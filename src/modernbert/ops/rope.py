"""Rotary position embedding (RoFormer, arXiv 2104.09864, section 3.2), the NeoX half-and-half layout.

Angles are computed in float32 exactly as transformers does: at position 8,191 float32 angles are off by up to
5e-4, and a trained model has learned with those.

Shapes:  T tokens   H heads   K head size   S sets of heads (queries and keys)
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from modernbert.ops._native_rows import can_turn, turned_apart, turned_back


@dataclass(frozen=True, slots=True, eq=False)
class Rope:
    """Cosines and sines for the positions of one packed batch."""

    cos: Float[Tensor, "T half"]
    sin: Float[Tensor, "T half"]

    @classmethod
    def at(cls, positions: Int[Tensor, "T"], *, theta: float, head_size: int, longest: int) -> "Rope":
        """Look the angles up; `longest` is more than the largest position."""
        if torch.compiler.is_compiling():  # a compiled graph computes them on the way, and cannot see the cache
            return cls(*_cos_sin(positions, theta, head_size))
        cos, sin = angles(theta=theta, head_size=head_size, longest=longest, device=positions.device)
        return cls(cos[positions], sin[positions])

    def __call__(self, heads: Float[Tensor, "T S H K"]) -> Float[Tensor, "T S H K"]:
        """Rotate every head of every token by its position. Half precision is rotated in float32, then rounded."""
        return _Rotate.apply(heads, self.cos, self.sin)

    def split(
        self, qkv: Float[Tensor, "T 3 H K"]
    ) -> tuple[Float[Tensor, "T H K"], Float[Tensor, "T H K"], Float[Tensor, "T H K"]]:
        """Rotated queries, rotated keys, and values: tensors of their own, so that the joint one can go.

        Slicing would do the same, but each slice's gradient is a tensor of the whole size, mostly zeros.
        """
        return _Split.apply(qkv, self.cos, self.sin)


def angles(
    *, theta: float, head_size: int, longest: int, device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "rows half"], Float[Tensor, "rows half"]]:
    """Cosines and sines of all positions below `longest`, and some more: tables are kept, and few are ever made."""
    return _table(theta, head_size, 1 << max(6, (longest - 1).bit_length()), torch.device(device))


@lru_cache(maxsize=8)
def _table(theta: float, head_size: int, rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        return _cos_sin(torch.arange(rows, device=device), theta, head_size)


def _cos_sin(positions: Tensor, theta: float, head_size: int) -> tuple[Tensor, Tensor]:
    exponents = torch.arange(0, head_size, 2, dtype=torch.float) / head_size
    inverse_frequencies = (1.0 / (theta**exponents)).to(positions.device)
    angles = positions.to(torch.float)[:, None] * inverse_frequencies
    return angles.cos(), angles.sin()


class _Rotate(torch.autograd.Function):
    """Keeps nothing but the angles for the backward pass: the gradient is the rotation the other way."""

    @staticmethod
    def forward(ctx: FunctionCtx, heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(heads, cos, sin)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cos, sin = ctx.saved_tensors  # type: ignore[attr-defined]
        return _rotate(grad, cos, -sin), None, None


class _Split(torch.autograd.Function):
    """The gradients of all three are written side by side, once."""

    @staticmethod
    def forward(ctx: FunctionCtx, qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(cos, sin)
        if can_turn(qkv):
            return turned_apart(qkv, cos, sin)
        q_T1HK, k_T1HK = (_rotate(qkv[:, i : i + 1], cos, sin) for i in range(2))
        return q_T1HK.squeeze(1), k_T1HK.squeeze(1), qkv[:, 2].clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cos, sin = ctx.saved_tensors  # type: ignore[attr-defined]
        q_THK, k_THK, v_THK = grads
        is_again = torch.is_grad_enabled()  # this gradient is to be differentiated
        if not is_again and can_turn(v_THK):
            return turned_back(q_THK, k_THK, v_THK, cos, sin), None, None
        back = -sin
        if torch.compiler.is_compiling() or is_again:
            turned = (_rotate(grad[:, None], cos, back) for grad in (q_THK, k_THK))
            return torch.cat((*turned, v_THK[:, None]), dim=1), None, None
        joint_T3HK = v_THK.new_empty(v_THK.shape[0], 3, *v_THK.shape[1:])
        for i, grad in enumerate((q_THK, k_THK)):
            _rotate_into(joint_T3HK[:, i : i + 1], grad[:, None], cos, back)
        joint_T3HK[:, 2] = v_THK
        return joint_T3HK, None, None


def _rotate(heads_TSHK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    working = torch.promote_types(heads_TSHK.dtype, torch.float32)
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        # The compiler fuses the plain formula; and neither it nor a gradient can write into halves.
        cos, sin = (table.to(working)[:, None, None] for table in (cos, sin))
        near, far = heads_TSHK.to(working).chunk(2, dim=-1)
        return torch.cat((near * cos - far * sin, far * cos + near * sin), dim=-1).to(heads_TSHK.dtype)
    turned = torch.empty(heads_TSHK.shape, dtype=working, device=heads_TSHK.device)
    return _rotate_into(turned, heads_TSHK, cos, sin).to(heads_TSHK.dtype)


def _rotate_into(turned_TSHK: Tensor, heads_TSHK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    working = torch.promote_types(heads_TSHK.dtype, torch.float32)
    if turned_TSHK.dtype != working:
        return turned_TSHK.copy_(_rotate(heads_TSHK, cos, sin))
    cos, sin = (table.to(working)[:, None, None] for table in (cos, sin))
    near, far = heads_TSHK.to(working).chunk(2, dim=-1)
    left, right = turned_TSHK.chunk(2, dim=-1)
    torch.mul(near, cos, out=left).addcmul_(far, sin, value=-1)
    torch.mul(far, cos, out=right).addcmul_(near, sin)
    return turned_TSHK
