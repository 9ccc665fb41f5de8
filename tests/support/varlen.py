"""Stands in for the CUDA kernel of torch.nn.attention.varlen on a CPU, so that graphs around it can be made and run there.

Plain formulas, forward and backward, one document after the other. Torch's own description of the kernel's shapes and of
its gradient stays in force: what is tested is what is compiled around it.

Shapes:  T tokens   H heads   K head size   N documents   L, S tokens of one document
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.attention import varlen  # noqa: F401  (defines the operator)

from modernbert.ops import _varlen


def stand_in() -> None:
    """For the rest of this process; call it in a process of its own."""
    _varlen.why_not = lambda *_: None
    torch.library.register_kernel("torch_attn::_varlen_attn", "cpu", _forward)
    torch.library.register_kernel("torch_attn::_varlen_attn_backward", "cpu", _backward)


def _forward(
    query: Tensor, key: Tensor, value: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor | None, max_q: int, max_k: int,
    is_causal: bool = False, scale: float | None = None, window_size: Sequence[int] = (-1, -1), *_: object,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    assert max_q == max_k == int(cu_seq_q.diff().max())
    out = torch.empty_like(query)
    for own, weights_HLS in _weights(query, key, cu_seq_q, window_size):
        out[own] = torch.einsum("hls,shk->lhk", weights_HLS, value[own])
    return out, torch.zeros(query.shape[1], query.shape[0]), torch.zeros(2, dtype=torch.uint64)


def _backward(
    grad_out: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, lse: Tensor,
    cu_seq_q: Tensor, cu_seq_k: Tensor, max_q: int, max_k: int, is_causal: bool, rng_state: Tensor,
    scale: float | None = None, window_size: Sequence[int] = (-1, -1),
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    grads = [torch.empty_like(x) for x in (query, key, value)]
    for own, weights_HLS in _weights(query, key, cu_seq_q, window_size):
        seen_HLS = torch.einsum("lhk,shk->hls", grad_out[own], value[own])
        scores_HLS = weights_HLS * (seen_HLS - (seen_HLS * weights_HLS).sum(-1, keepdim=True)) / query.shape[-1] ** 0.5
        grads[0][own] = torch.einsum("hls,shk->lhk", scores_HLS, key[own])
        grads[1][own] = torch.einsum("hls,lhk->shk", scores_HLS, query[own])
        grads[2][own] = torch.einsum("hls,lhk->shk", weights_HLS, grad_out[own])
    return grads[0], grads[1], grads[2]


def _weights(query: Tensor, key: Tensor, offsets: Tensor, window: Sequence[int]) -> Iterator[tuple[slice, Tensor]]:
    left, right = (side if side >= 0 else query.shape[0] for side in window)
    for start, end in pairwise(offsets.tolist()):
        own, places = slice(start, end), torch.arange(end - start)
        scores_HLS = torch.einsum("lhk,shk->hls", query[own], key[own]) / query.shape[-1] ** 0.5
        ahead = places[None, :] - places[:, None]
        yield own, scores_HLS.masked_fill((ahead < -left) | (ahead > right), -torch.inf).softmax(-1)
