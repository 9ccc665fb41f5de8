"""Settings of a training run; no torch here, so reading a recipe stays instant."""

from dataclasses import dataclass
from typing import Literal

from modernbert.core.quantities import Duration, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Optim:
    """StableAdamW with fully decoupled weight decay; the defaults are ModernBERT-base's first stage."""

    kind: Literal["stable-adamw"] = "stable-adamw"
    lr: float = 8e-4
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 1e-5
    """Share of a weight that goes at each step at peak learning rate; norms and biases are spared."""

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.eps <= 0 or self.weight_decay < 0:
            raise ValueError(f"lr and eps are above 0 and weight_decay is 0 or more: found {self}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas lie in [0, 1): found {self.betas}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Warm-up, stable, decay (1-sqrt), as shares of the budget."""

    warmup: float = 0.02
    decay: float = 0.2
    floor: float = 0.001
    """What is left of the peak learning rate at the end."""

    def __post_init__(self) -> None:
        if min(self.warmup, self.decay, self.floor) < 0 or self.warmup + self.decay > 1:
            raise ValueError(f"warmup and decay are shares of the budget that fit into it together: found {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When training ends: after so many tokens, or so much time, whichever comes first."""

    tokens: Tokens | None = None
    """Tokens read, masked or not; absent: no limit."""
    time: Duration | None = None
    """Wall-clock seconds; absent: no limit. A run that time ends is not repeatable step for step."""

    def __post_init__(self) -> None:
        if self.tokens is None and self.time is None:
            raise ValueError("a budget needs tokens, time, or both: found neither, and training would never end")

    def spent(self, tokens: int, seconds: float) -> float:
        """The share used up, at most 1."""
        by_tokens = tokens / self.tokens if self.tokens else 0.0
        by_time = seconds / self.time if self.time else 0.0
        return min(1.0, max(by_tokens, by_time))
