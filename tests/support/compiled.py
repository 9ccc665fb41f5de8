"""Compiles an encoder and shows it one layout after the other.

    python -m support.compiled halves|whole training|inference COMPILER DEVICE DTYPE

A program of its own: the suite's type checks would break graphs, as they never do for a user. It prints how many graphs
were made, and fails where one breaks, where one is made again for another layout, or where outputs differ from eager ones.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch._dynamo.utils import counters

from modernbert.model import encoder as rooms
from modernbert.model.config import ModelConfig
from modernbert.model.encoder import Encoder, encode
from modernbert.ops.attention import Backend
from modernbert.ops.packed import Packed
from support.varlen import stand_in

LAYOUTS = ((100, 7, 7), (64,), (1, 1), (3, 128, 0, 30, 9, 1), (257, 13))
"""Few and many documents, empty ones, and as many tokens as something else in the model is wide."""

CONFIG = ModelConfig(
    vocab_size=64, pad_token_id=0, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
    layer_types=("full_attention", "sliding_attention"), local_attention=16,
)  # fmt: skip


def main(what: str, mode: str, compiler: str, device: str, dtype: str) -> None:
    """All graphs are made at the first layout."""
    encoder = Encoder(CONFIG).to(device, getattr(torch, dtype)).train(mode == "training")
    attention: Backend = "auto"
    if device == "cpu":
        attention = "blocked" if what == "halves" else "varlen"
        stand_in()
    run = _halves(compiler, attention) if what == "halves" else _whole(compiler, attention)
    made = []
    for lengths in LAYOUTS:
        packed = Packed.from_lists([[3] * length for length in lengths], device=device)
        _ = packed.offsets_on_device, packed.longest  # a batch on a GPU has them from the start
        with torch.inference_mode(mode == "inference"):
            _compare(encoder, run(encoder, packed), encode(encoder, packed, backend=attention))
        made.append(counters["stats"]["unique_graphs"])
    assert not counters["graph_break"], dict(counters["graph_break"])
    assert made == made[:1] * len(LAYOUTS), f"a layout had graphs of its own: {made}"
    sys.stdout.write(f"{made[0]}\n")


def _halves(compiler: str, attention: Backend) -> Callable[[Encoder, Packed], Tensor]:
    eager = rooms._compiled_halves()
    plain = [half._torchdynamo_orig_callable for half in eager]  # type: ignore[attr-defined]
    halves = tuple(torch.compile(half, dynamic=True, fullgraph=True, backend=compiler) for half in plain)
    rooms._compiled_halves = lambda: halves  # type: ignore[assignment, return-value]

    def run(encoder: Encoder, packed: Packed) -> Tensor:
        encoder.compiles = True
        try:
            return encode(encoder, packed, backend=attention)
        finally:
            encoder.compiles = False

    return run


def _whole(compiler: str, attention: Backend) -> Callable[[Encoder, Packed], Tensor]:
    """Without gradients it is what `compiles` does; with them it is for who asks torch for it."""
    compiled = torch.compile(encode, dynamic=True, fullgraph=True, backend=compiler)
    rooms._compiled_whole = lambda: compiled

    def run(encoder: Encoder, packed: Packed) -> Tensor:
        if encoder.training:
            return compiled(encoder, packed, backend=attention)
        encoder.compiles = True
        try:
            return encoder(packed, backend=attention)
        finally:
            encoder.compiles = False

    return run


def _compare(encoder: Encoder, found: Tensor, expected: Tensor) -> None:
    pairs = [(found.detach(), expected.detach())]
    if found.requires_grad:  # of something that the final norm does not hold constant
        upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(0)).to(found)
        parameters = list(encoder.parameters())
        pairs += zip(*(torch.autograd.grad(x, parameters, upstream) for x in (found, expected)), strict=True)
    allowed = 1e-4 if found.dtype == torch.float32 else 0.05
    for ours, eager in pairs:
        off = float((ours - eager).float().norm() / eager.float().norm())
        assert off <= allowed, f"off by {off:.1e} of its size"


if __name__ == "__main__":
    main(*sys.argv[1:])
