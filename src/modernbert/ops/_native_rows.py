"""Rotation, gate and norm of training through the package's own CPU kernels: one pass over memory each, and back."""

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.ops.native.library import NUMBERS, Library, library


def can_turn(heads: Float[Tensor, "... H K"]) -> bool:
    """Whether `turned_apart` and `turned_back` take such heads."""
    return _takes(heads) and _kernels().takes_head_size(heads.shape[-1])


def turned_apart(
    qkv: Float[Tensor, "T 3 H K"], cos: Float[Tensor, "T half"], sin: Float[Tensor, "T half"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries, rotated keys, and values: [T, H, K] each."""
    qkv = qkv.contiguous()
    q, k, v = qkv.new_empty(3, qkv.shape[0], *qkv.shape[2:])
    _turn(qkv.unbind(1), (q, k, v), cos, sin, 1)
    return q, k, v


def turned_back(
    q: Float[Tensor, "T H K"],
    k: Float[Tensor, "T H K"],
    v: Float[Tensor, "T H K"],
    cos: Float[Tensor, "T half"],
    sin: Float[Tensor, "T half"],
) -> Float[Tensor, "T 3 H K"]:
    """The inverse of `turned_apart`, which is its gradient, too."""
    joint = q.new_empty(q.shape[0], 3, *q.shape[1:])
    _turn((q.contiguous(), k.contiguous(), v.contiguous()), joint.unbind(1), cos, sin, -1)
    return joint


def can_gate(both: Float[Tensor, "T both"]) -> bool:
    """Whether `gate` and `gate_backward` take such rows."""
    return _takes(both) and both.ndim == 2 and both.shape[1] % _kernels().panel == 0


def gate(both: Float[Tensor, "T both"]) -> Float[Tensor, "T F"]:
    """gelu(first half) * second half."""
    tokens, width = both.shape[0], both.shape[1] // 2
    out = both.new_empty(tokens, width)
    _kernels().call("gate", NUMBERS[both.dtype], both.contiguous(), out, tokens, width, torch.get_num_threads())
    return out


def gate_backward(both: Float[Tensor, "T both"], grad: Float[Tensor, "T F"]) -> Float[Tensor, "T both"]:
    """From the gradient of `gate`'s output the one of its input."""
    tokens, width = grad.shape
    both, grad = both.contiguous(), grad.contiguous()
    grad_both = torch.empty_like(both)
    _kernels().call("gate_backward", NUMBERS[both.dtype], both, grad, grad_both, tokens, width, torch.get_num_threads())
    return grad_both


def can_norm(x: Float[Tensor, "T D"]) -> bool:
    """Whether `norm` and `norm_backward` take such rows."""
    return x.dtype == torch.float32 and _takes(x) and x.ndim == 2 and x.shape[1] % _kernels().panel == 0


def norm(x: Float[Tensor, "T D"], weight: Float[Tensor, "D"], eps: float, dtype: torch.dtype) -> Float[Tensor, "T D"]:
    """LayerNorm without a bias, rounded to `dtype` on its way to memory."""
    tokens, width = x.shape
    out = x.new_empty(x.shape, dtype=dtype)
    _kernels().call(
        "norm", NUMBERS[dtype], x.contiguous(), weight.contiguous(), eps, out, tokens, width, torch.get_num_threads()
    )
    return out


def norm_backward(
    x: Float[Tensor, "T D"], weight: Float[Tensor, "D"], eps: float, grad: Float[Tensor, "T D"]
) -> tuple[Float[Tensor, "T D"], Float[Tensor, "D"]]:
    """From the gradient of `norm`'s output those of its input and its weight, float32."""
    tokens, width = x.shape
    grad_x, grad_weight = torch.empty(x.shape), torch.empty(width)
    _kernels().call(
        "norm_backward", NUMBERS[grad.dtype], x.contiguous(), weight.contiguous(), eps, grad.contiguous(), grad_x,
        grad_weight, tokens, width, torch.get_num_threads(),
    )  # fmt: skip
    return grad_x, grad_weight


def _turn(from_qkv: tuple[Tensor, ...], to_qkv: tuple[Tensor, ...], cos: Tensor, sin: Tensor, sign: int) -> None:
    tokens, heads, size = from_qkv[0].shape
    _kernels().call(
        "turn", NUMBERS[from_qkv[0].dtype], *from_qkv, from_qkv[0].stride(0), *to_qkv, to_qkv[0].stride(0), tokens, heads, size,
        cos.contiguous(), sin.contiguous(), sign, torch.get_num_threads(),
    )  # fmt: skip


def _takes(x: Tensor) -> bool:
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype not in NUMBERS:
        return False
    return library() is not None


def _kernels() -> Library:
    kernels = library()
    assert kernels is not None, "_takes looked"
    return kernels
