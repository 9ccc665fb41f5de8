"""How good a shape is for a set of devices: estimated speed, and what depth is worth. Arithmetic only, no torch.

The speed is a roofline with quantisation: each matrix product takes its whole waves of whole tiles at the device's
peak, or the time in which its numbers come from memory, whichever is longer; all else in a layer takes its memory
traffic. Real libraries have more tiles to choose from and never reach the peak, so the tokens a second are a bound;
what counts is the order. The depth's worth is a judgement, and a setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log2

from modernbert.bench.shapes import matrices
from modernbert.bench.targets import TILE, TURNED, Target
from modernbert.bench.tiles import cut, last_wave, num_tiles
from modernbert.core.errors import UserError
from modernbert.model.config import ModelConfig
from modernbert.model.counts import attention_flops

BYTES = 2
"""Of a number in 16 bit."""
KERNELS = 11
"""Of one layer: two norms, four products, rotation, attention, gate, two additions."""
ATTENTION_SHARE = 0.5
"""Of the peak that fused attention reaches; FlashAttention-2 measured 50 to 73% on an A100 (arXiv 2307.08691)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a model is designed to run."""

    batches: tuple[int, ...] = (1024, 4096, 16_384)
    """Tokens of a packed batch; each size counts the same."""
    length: int = 512
    """Tokens of a document, for the attention's share."""
    depth_worth: float = 0.2
    """So much slower may a shape be that has twice the layers, and still be as good: 0.2 is a fifth."""

    def __post_init__(self) -> None:
        if not self.batches or min(self.batches) < 1 or self.length < 1:
            raise UserError(f"batches and length are 1 or more: found {list(self.batches)} and {self.length}")
        if not 0 <= self.depth_worth < 1:
            raise UserError(f"depth_worth: found {self.depth_worth:g}, expected 0 (depth does not count) to below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one device does with a shape; the three shares multiply to `of_peak`."""

    tokens_per_second: float
    """Mean over the batches, an upper bound."""
    tiles: float
    """Share that is left by padding matrices to whole tiles."""
    waves: float
    """Share that is left by units which wait in the last wave."""
    matrices: float
    """Share of the time that is matrix products at peak, beside memory, attention and all else of a layer."""

    @property
    def of_peak(self) -> float:
        """Share of the device's peak that goes into the matrix products asked for."""
        return self.tiles * self.waves * self.matrices


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A shape against a set of devices."""

    shape: ModelConfig
    speeds: dict[str, Speed]
    """By the target's name."""
    speed: Speed
    """Over all targets, by weight; harmonic, so that a card which suits badly counts."""
    depth: float
    """Worth of the layers, 1 where more of them would help no more."""
    utilisation: float | None
    """What the reference's search scored: the share of units with work in the last wave, of the weights' own tiles.
    Absent where no target is a GPU."""

    @property
    def value(self) -> float:
        """What ranks: the share of the peak times the worth of the depth."""
        return self.speed.of_peak * self.depth


def score(config: ModelConfig, targets: Sequence[Target], work: Work) -> Score:
    """Estimate a shape on every target."""
    batches = [(tokens, _attention_flops(config, min(work.length, tokens))) for tokens in work.batches]
    spent = {target.name: [_spend(config, target, *batch) for batch in batches] for target in targets}
    weights = [target.weight for target in targets for _ in work.batches]
    everything = [one for target in targets for one in spent[target.name]]
    return Score(
        shape=config,
        speeds={name: _speed(found, [1.0] * len(found)) for name, found in spent.items()},
        speed=_speed(everything, weights),
        depth=depth_factor(config, work.depth_worth),
        utilisation=utilisation(config, targets),
    )


def depth_factor(config: ModelConfig, worth: float) -> float:
    """What the layers are worth beside `enough_layers`: 1 with as many or more, (1 - worth) with half of them."""
    enough = enough_layers(config.hidden_size)
    return (min(config.num_hidden_layers, enough) / enough) ** -log2(1 - worth)


def enough_layers(hidden_size: int) -> float:
    """The depth beyond which a model of this width gains more from width: Levine et al. 2020 (arXiv 2006.12467).

    Their fit over trained models of 6 to 48 layers: ln(width) = 5.039 + 0.0555 layers. It gives 29 for 768 and 34 for
    1,024. They trained left-to-right models, the nearest to ours that anybody has measured.
    """
    return max(1.0, (log(hidden_size) - 5.039) / 0.0555)


def utilisation(config: ModelConfig, targets: Sequence[Target]) -> float | None:
    """The reference's own score, from 0 to 1: weighted mean over GPUs, weights and both orders of the tile.

    It tiles the weights and not the products, whose rows are tokens; we show it and do not rank by it.
    """
    shares = [
        (target.weight, last_wave(num_tiles(rows, columns, tile), target.units))
        for target in targets
        if TILE in target.tiles
        for rows, columns in matrices(config).values()
        for tile in (TILE, TURNED)
    ]
    if not shares:
        return None
    return sum(weight * share for weight, share in shares) / sum(weight for weight, _ in shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """Seconds a token on one device and batch, loss by loss; each includes the one before."""

    tokens_per_second: float
    ideal: float
    with_tiles: float
    with_waves: float
    whole: float


def _spend(config: ModelConfig, target: Target, tokens: int, attention: float) -> _Spent:
    """One layer's seconds for a batch, whose attention takes so many FLOP a token."""
    ideal = with_tiles = with_waves = whole = 0.0
    for outputs, inputs in matrices(config).values():
        seconds = 2 * tokens * outputs * inputs / target.peak
        found = cut(tokens, outputs, target.units, target.tiles)
        from_memory = BYTES * (tokens * (inputs + outputs) + outputs * inputs) / target.bandwidth
        ideal += seconds
        with_tiles += seconds * found.padding
        with_waves += seconds * found.slowdown
        whole += max(seconds * found.slowdown, from_memory)
    whole += _attention(config, target, tokens, attention) + _elementwise(config, target, tokens) + KERNELS * target.gap
    return _Spent(
        tokens_per_second=tokens / (config.num_hidden_layers * whole),
        ideal=ideal,
        with_tiles=with_tiles,
        with_waves=with_waves,
        whole=whole,
    )


def _attention_flops(config: ModelConfig, length: int) -> float:
    """Of a token in one layer, the mean of global and windowed ones."""
    return attention_flops(config, [length]) / length / config.num_hidden_layers


def _attention(config: ModelConfig, target: Target, tokens: int, flops: float) -> float:
    """Seconds of one layer's attention."""
    moved = 4 * config.hidden_size * tokens * BYTES  # q, k, v in, one out
    return max(flops * tokens / (ATTENTION_SHARE * target.peak), moved / target.bandwidth)


def _elementwise(config: ModelConfig, target: Target, tokens: int) -> float:
    """Seconds in which a layer's norms (2 x 2), rotation (4) and additions (2 x 3), and its gate (3), pass memory."""
    return BYTES * tokens * (14 * config.hidden_size + 3 * config.intermediate_size) / target.bandwidth


def _speed(spent: Sequence[_Spent], weights: Sequence[float]) -> Speed:
    """Means of how much slower than the peak, which makes the shares harmonic means."""

    def mean(slowdowns: Sequence[float]) -> float:
        return sum(weight * one for weight, one in zip(weights, slowdowns, strict=True)) / sum(weights)

    tiles = mean([one.with_tiles / one.ideal for one in spent])
    waves = mean([one.with_waves / one.ideal for one in spent])
    whole = mean([one.whole / one.ideal for one in spent])
    return Speed(
        tokens_per_second=1 / mean([1 / one.tokens_per_second for one in spent]),
        tiles=1 / tiles,
        waves=tiles / waves,
        matrices=waves / whole,
    )
