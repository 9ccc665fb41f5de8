"""What training costs: FLOP by formula, H100-hours from runs that others have measured. No torch here.

A GPU does not reach its peak, and a small model reaches less of it than a large one. So the hours are the formula's
FLOP over the speed that a published run of the most similar shape had, and the speed is always told with its source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import attention_flops, head_flops_per_token, linear_flops_per_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """So many tokens, in documents of one length."""

    tokens: float
    length: int
    """Every document is taken to be this long: an upper bound for the attention's share."""
    predicted: float = 0.3
    """Share of the tokens that pass through the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run that somebody timed."""

    source: str
    size: str
    readings: tuple[Reading, ...]
    hours: float
    """H100-hours in which it was training."""

    @property
    def flops_per_second(self) -> float:
        """What one GPU did, by our count."""
        return sum(training_flops(SIZES[self.size], reading) for reading in self.readings) / (3600 * self.hours)

    @property
    def lengths(self) -> frozenset[bool]:
        """Which kinds of stages it timed: long documents, short ones, or both."""
        return frozenset(_is_long(reading.length) for reading in self.readings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one stage takes."""

    flops: float
    """Forward and backward, all of it."""
    h100_hours: float
    tokens_per_second: float
    """Of one H100."""
    source: str
    """Whose speed it is, and whether for this very shape."""


_MODERNBERT = "ModernBERT, 8 H100 (arXiv 2412.13663)"
_ETTIN = "Ettin, 4 H100 (arXiv 2507.11412)"


def _short(tokens: float) -> Reading:
    return Reading(tokens=tokens, length=1024)


def _long(tokens: float) -> Reading:
    return Reading(tokens=tokens, length=8192)


MEASURED = (
    # Ettin published one figure a size, of all three stages together.
    Measured(source=_ETTIN, size="17m", readings=(_short(1.7e12), _long(0.3e12)), hours=4 * 141),
    Measured(source=_ETTIN, size="32m", readings=(_short(1.7e12), _long(0.3e12)), hours=4 * 212),
    Measured(source=_ETTIN, size="68m", readings=(_short(1.7e12), _long(0.3e12)), hours=4 * 300),
    Measured(source=_MODERNBERT, size="base", readings=(_short(1.719e12),), hours=8 * 191.1),
    Measured(source=_MODERNBERT, size="base", readings=(_long(0.3e12),), hours=8 * (36.3 + 7.5)),
    Measured(source=_MODERNBERT, size="large", readings=(_short(1.719e12),), hours=8 * 420.4),
    Measured(source=_MODERNBERT, size="large", readings=(_long(0.3e12),), hours=8 * (75.1 + 15.3)),
    # Its later stages were a third as long.
    Measured(source=_ETTIN, size="1b", readings=(_short(1.7e12), _long(0.1e12)), hours=4 * 2170),
)
"""Smallest first."""


def training_flops(config: ModelConfig, reading: Reading) -> float:
    """FLOP of forward and backward (three times the forward pass) over all that is read."""
    token = (
        linear_flops_per_token(config)
        + attention_flops(config, [reading.length]) / reading.length
        + reading.predicted * head_flops_per_token(config)
    )
    return 3.0 * token * reading.tokens


def cost(config: ModelConfig, reading: Reading, measured: Sequence[Measured] = MEASURED) -> Cost:
    """FLOP and H100-hours of one stage, at the speed of the timed run whose shape is nearest."""
    flops = training_flops(config, reading)
    fitting = [run for run in measured if _is_long(reading.length) in run.lengths]
    nearest = min(fitting, key=lambda run: abs(log(_weight(SIZES[run.size])) - log(_weight(config))))
    same = _weight(SIZES[nearest.size]) == _weight(config)
    return Cost(
        flops=flops,
        h100_hours=flops / nearest.flops_per_second / 3600,
        tokens_per_second=nearest.flops_per_second * reading.tokens / flops,
        source=f"measured: {nearest.source}" if same else f"derived from {nearest.size}: {nearest.source}",
    )


def _weight(config: ModelConfig) -> int:
    """What makes two shapes alike: the work of a token, whatever the vocabulary."""
    return linear_flops_per_token(config)


def _is_long(length: int) -> bool:
    """Whether a stage is more like the paper's at 8,192 than like that at 1,024: their middle, by factors."""
    return length > 2896
