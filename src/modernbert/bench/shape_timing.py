"""Time a short list of shapes on the present device, in turns.

Only as many layers are built as repeat: one, and one with a whole period of global and windowed layers after it. The
difference is a period, so a whole model's time is known from a fifth of its layers, without its embeddings.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from modernbert.core.errors import UserError
from modernbert.core.log import progress
from modernbert.model.config import ModelConfig
from modernbert.model.counts import linear_flops_per_token
from modernbert.model.encoder import Encoder
from modernbert.model.precision import best_precision
from modernbert.ops.packed import Packed
from modernbert.ops.roofline import matmul_rate

FEWEST_ROUNDS = 3
"""Whatever the time allowed: less than three have no median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One shape on this device."""

    shape: ModelConfig
    tokens_per_second: float
    """Of the whole encoder, from the median round."""
    slowest: float
    fastest: float
    of_matmul: float
    """Share of the device's measured matrix-multiply rate that its linear layers' work is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """All of the short list."""

    device: str
    dtype: str
    matmul: float
    """FLOP/s, the mean of just before and just after."""
    tokens: int
    """Of a batch."""
    length: int
    """Of each document in it."""
    rounds: int
    shapes: tuple[Timing, ...]
    """In the order given."""


def time_shapes(
    shapes: Sequence[ModelConfig], *, length: int = 512, tokens: int | None = None, seconds: float = 60.0
) -> Timings:
    """Encode packed random documents with random weights, shape after shape, round after round, until time is up.

    Args:
        shapes: the short list; its vocabularies do not matter and are not built.
        length: tokens of each document.
        tokens: of a batch; absent: 2,048 on a CPU, 16,384 on a GPU.
        seconds: for all rounds together, but three at least.

    Raises:
        UserError: no shape.
    """
    if not shapes:
        raise UserError("found no shape to time, expected one or more")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = best_precision(device)
    tokens = tokens or (16_384 if device.type == "cuda" else 2_048)
    packed = _documents(tokens, length).to(device)
    pairs = [_pair(shape, device, precision.dtype) for shape in shapes]
    before = matmul_rate(precision.dtype, device.type, seconds=_RATE_SECONDS)
    rounds = _rounds(pairs, packed, seconds)
    rate = (before + matmul_rate(precision.dtype, device.type, seconds=_RATE_SECONDS)) / 2
    return Timings(
        device=device.type,
        dtype=precision.name,
        matmul=rate,
        tokens=packed.num_tokens,
        length=length,
        rounds=len(rounds),
        shapes=tuple(
            _timing(shape, [taken[place] for taken in rounds], packed.num_tokens, rate)
            for place, shape in enumerate(shapes)
        ),
    )


def agreement(estimated: Sequence[float], measured: Sequence[float]) -> tuple[int, int]:
    """In how many of all pairs of shapes both say that the same one is faster, and how many pairs there are.

    >>> agreement([1.0, 2.0, 3.0], [10.0, 30.0, 20.0])
    (2, 3)
    """
    pairs = [(i, j) for i in range(len(measured)) for j in range(i)]
    return sum((estimated[i] - estimated[j]) * (measured[i] - measured[j]) > 0 for i, j in pairs), len(pairs)


def _documents(tokens: int, length: int) -> Packed:
    generator = torch.Generator().manual_seed(0)
    count = max(1, tokens // length)
    ids = torch.randint(_VOCABULARY, (count, min(length, tokens)), generator=generator)
    return Packed.from_lists(ids.tolist())


_RATE_SECONDS = 0.1

_VOCABULARY = 512
"""Rows of the embedding that is timed: looking a row up takes no time, whatever their number."""


def _pair(shape: ModelConfig, device: torch.device, dtype: torch.dtype) -> tuple[Encoder, Encoder]:
    """The shape with its first layer alone, and with a period behind it."""
    depths = (1, 1 + shape.global_attn_every_n_layers)
    configs = [replace(shape, num_hidden_layers=depth, vocab_size=_VOCABULARY, pad_token_id=None) for depth in depths]
    one, more = (Encoder(config).to(device=device, dtype=dtype).eval() for config in configs)
    return one, more


def _rounds(
    pairs: Sequence[tuple[Encoder, Encoder]], packed: Packed, seconds: float
) -> list[list[tuple[float, float]]]:
    """Seconds of both passes of each shape, a list for each round; the first round warms up and does not count."""
    rounds: list[list[tuple[float, float]]] = []
    with torch.inference_mode(), progress() as bar:
        task = bar.add_task("timing the short list, rounds", total=None)
        _round(pairs, packed)
        began = time.perf_counter()
        while len(rounds) < FEWEST_ROUNDS or time.perf_counter() - began < seconds:
            rounds.append(_round(pairs, packed))
            bar.advance(task)
    return rounds


def _round(pairs: Sequence[tuple[Encoder, Encoder]], packed: Packed) -> list[tuple[float, float]]:
    return [(_pass(one, packed), _pass(more, packed)) for one, more in pairs]


def _pass(encoder: Encoder, packed: Packed) -> float:
    start = time.perf_counter()
    encoder(packed)
    if packed.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _timing(shape: ModelConfig, taken: Sequence[tuple[float, float]], tokens: int, rate: float) -> Timing:
    """A whole model from its first layer and one period."""
    periods = (shape.num_hidden_layers - 1) / shape.global_attn_every_n_layers
    whole = [one + periods * max(more - one, 0.0) for one, more in taken]
    speed = tokens / median(whole)
    return Timing(
        shape=shape,
        tokens_per_second=speed,
        slowest=tokens / max(whole),
        fastest=tokens / min(whole),
        of_matmul=speed * linear_flops_per_token(shape) / rate,
    )
