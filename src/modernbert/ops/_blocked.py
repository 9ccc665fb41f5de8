"""Attention in plain PyTorch on any device, with no [L, L] mask and no pads through the network.

A window becomes a band: the whole stream is cut into blocks of queries, each meets only the keys its window can
reach, and one small mask a block hides neighbours and other documents. Full attention runs document by document,
except that short documents are stacked, so that 1,000 tweets are not 1,000 calls.

All of it ends in `scaled_dot_product_attention` on strided views: its fused CPU kernel never writes the scores
(measured on AVX2, float32, 8,192 tokens, window 64: 64 ms a layer against 164 ms for batched matrix products).

Shapes:  T tokens   H heads   K head size   B blocks of Q queries and S keys   N documents stacked to L tokens
"""

from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from modernbert.ops.packed import Packed
from modernbert.ops.window import Window

QUERIES = 64
"""Queries of a block: a third of the 64 + 128 keys of ModernBERT's window; the best of 64, 128 and 256 measured."""

SHORT = 128
"""Documents up to this length are stacked with others of nearly the same length; a longer one fills a call by itself."""

STEP = 16
"""Short documents are stacked to the next multiple of this."""


def attend(
    q: Float[Tensor, "T H K"],
    k: Float[Tensor, "T H K"],
    v: Float[Tensor, "T H K"],
    *,
    layout: Packed,
    window: Window,
    dropout: float = 0.0,
) -> Float[Tensor, "T H K"]:
    """Same contract as `ops.attention.attend`."""
    if window.spans(layout.widest):
        return _by_document(q, k, v, layout, dropout)
    return _banded(q, k, v, layout, window, dropout)


# ---------------------------------------------------------------- windows: a band over the whole stream


def _banded(q: Tensor, k: Tensor, v: Tensor, layout: Packed, window: Window, dropout: float) -> Tensor:
    assert window.left is not None
    assert window.right is not None
    num_tokens = q.shape[0]
    num_blocks = -(-num_tokens // QUERIES)
    rest = num_blocks * QUERIES - num_tokens
    width = window.left + QUERIES + window.right
    keys = F.pad(k, (0, 0, 0, 0, window.left, rest + window.right)).unfold(0, width, QUERIES).transpose(2, 3)
    values = F.pad(v, (0, 0, 0, 0, window.left, rest + window.right)).unfold(0, width, QUERIES).transpose(2, 3)
    queries = (F.pad(q, (0, 0, 0, 0, 0, rest)) if rest else q).unflatten(0, (num_blocks, QUERIES)).transpose(1, 2)
    mask = layout.derived(("band", window, q.dtype), lambda: _band_mask(layout, window, num_blocks, q.dtype))
    heads_BHQK = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, dropout_p=dropout)
    return heads_BHQK.transpose(1, 2).flatten(0, 1)[:num_tokens]


def _band_mask(layout: Packed, window: Window, num_blocks: int, dtype: torch.dtype) -> Float[Tensor, "B 1 Q S"]:
    """0 where a query of the block sees a key, -inf elsewhere. T x 192 numbers, whatever the documents' length."""
    assert window.left is not None
    assert window.right is not None
    rest = num_blocks * QUERIES - layout.num_tokens
    width = window.left + QUERIES + window.right
    ends = (window.left, rest + window.right)
    key_documents = F.pad(layout.documents, ends, value=-1).unfold(0, width, QUERIES)[:, None, :]
    key_positions = F.pad(layout.positions, ends).unfold(0, width, QUERIES)[:, None, :]
    documents = F.pad(layout.documents, (0, rest), value=-1).unflatten(0, (num_blocks, QUERIES))[:, :, None]
    positions = F.pad(layout.positions, (0, rest)).unflatten(0, (num_blocks, QUERIES))[:, :, None]
    seen = (documents == key_documents) & window.allows(positions, key_positions)
    return _additive(seen, dtype)[:, None]  # behind the stream's end pads see pads: no softmax over nothing


# ---------------------------------------------------------------- full attention: documents, short ones stacked


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Documents that go through one call together."""

    start: int
    """First token, when the documents lie side by side in the stream and have one length: no copy is needed."""
    shape: tuple[int, int]
    """N documents of L tokens."""
    gather: Tensor | None
    """[N * L] tokens to fetch, when they do not; places behind a document's end fetch its first token."""
    real: Tensor | None
    """Which of those N * L places are real tokens; absent when all are."""
    mask: Tensor | None
    """[N, 1, 1, L] bool: the keys that are real tokens; absent like `real`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    stacks: tuple[_Stack, ...]
    starts: tuple[int, ...]
    """Where the parts begin that the stream is cut into: one for each stack that is a view of it, and what lies between."""
    order: Tensor | None
    """Puts the stacks' tokens back in the stream's order; absent when they already are."""


def _by_document(q: Tensor, k: Tensor, v: Tensor, layout: Packed, dropout: float) -> Tensor:
    plan = layout.derived("stacks", lambda: _plan(layout))
    # cut at once, not stack by stack: then the gradient is put together once, and not as a sum of streams of zeros
    sizes = [end - start for start, end in pairwise((*plan.starts, q.shape[0]))]
    parts = dict(zip(plan.starts, zip(*(x_THK.split(sizes) for x_THK in (q, k, v)), strict=True), strict=True))
    outputs = [
        _attend_stack(parts[stack.start] if stack.gather is None else (q, k, v), stack, dropout)
        for stack in plan.stacks
    ]
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return joined if plan.order is None else joined.index_select(0, plan.order)


def _attend_stack(qkv: tuple[Tensor, ...], stack: _Stack, dropout: float) -> Tensor:
    """Of the stack's own part of the stream, or of the whole where its tokens have to be fetched."""

    def stacked(x_THK: Tensor) -> Tensor:
        rows = x_THK if stack.gather is None else x_THK[stack.gather]
        return rows.unflatten(0, stack.shape).transpose(1, 2)

    mask = None if stack.mask is None else _additive(stack.mask, qkv[0].dtype).expand(-1, -1, stack.shape[1], -1)
    heads_NHLK = F.scaled_dot_product_attention(*map(stacked, qkv), attn_mask=mask, dropout_p=dropout)
    rows = heads_NHLK.transpose(1, 2).flatten(0, 1)
    return rows if stack.real is None else rows[stack.real]


def _plan(layout: Packed) -> _Plan:
    """Sort documents by (stacked) length and stack the equal ones; a stable sort keeps neighbours neighbours."""
    spans = [(start, end - start) for start, end in pairwise(layout.offsets) if end > start]
    by_height = groupby(sorted(spans, key=lambda span: _height(span[1])), key=lambda span: _height(span[1]))
    stacks: list[_Stack] = []
    token_order: list[Tensor] = []
    for height, group in by_height:
        members = list(group)
        if min(length for _, length in members) == max(length for _, length in members):
            height = members[0][1]  # equal documents need no rounding up
        for stack, tokens in _stack(members, height):
            stacks.append(stack)
            token_order.append(tokens)
    order = torch.cat(token_order)
    restored = None if bool((order == torch.arange(order.numel())).all()) else order.argsort().to(layout.device)
    views = [(stack.start, stack.shape[0] * stack.shape[1]) for stack in stacks if stack.gather is None]
    ends = {0, *(place for start, tokens in views for place in (start, start + tokens))}
    starts = tuple(sorted(ends - {layout.num_tokens}))
    return _Plan(tuple(_to(stack, layout.device) for stack in stacks), starts, restored)


def _height(length: int) -> int:
    return length if length > SHORT else -(-length // STEP) * STEP


def _stack(members: list[tuple[int, int]], height: int) -> list[tuple[_Stack, Tensor]]:
    starts, lengths = torch.tensor(members).T
    if bool((lengths == height).all()):
        runs = _runs(starts.tolist(), height)
        if len(runs) == 1 or height > SHORT:  # side by side, or long enough to fill a call: plain views
            return [
                (_Stack(start, (count, height), None, None, None), torch.arange(start, start + count * height))
                for start, count in runs
            ]
    places_NL = torch.arange(height).expand(len(members), height)
    is_real_NL = places_NL < lengths[:, None]
    gather = (starts[:, None] + places_NL.where(is_real_NL, 0)).flatten()
    if bool(is_real_NL.all()):
        return [(_Stack(0, (len(members), height), gather, None, None), gather)]
    real = is_real_NL.flatten().nonzero().squeeze(1)
    return [(_Stack(0, (len(members), height), gather, real, is_real_NL[:, None, None, :]), gather[real])]


def _runs(starts: list[int], length: int) -> list[tuple[int, int]]:
    """[0, 4, 8, 20] of length 4 -> [(0, 3), (20, 1)]: neighbours become one view."""
    runs: list[tuple[int, int]] = []
    for start in starts:
        if runs and runs[-1][0] + runs[-1][1] * length == start:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((start, 1))
    return runs


def _to(stack: _Stack, device: torch.device) -> _Stack:
    gather, real, mask = (None if x is None else x.to(device) for x in (stack.gather, stack.real, stack.mask))
    return _Stack(stack.start, stack.shape, gather, real, mask)


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))
