"""Side-by-side timing: contenders alternate in one run, so that a busy moment hits them all."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between them lies half of the rounds."""
        if len(self.seconds) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float:
        """Slowest less fastest round, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, most_seconds: float, fewest: int = 3
) -> dict[str, Timing]:
    """Run the contenders in turns: `rounds` times, fewer (but `fewest`) once time is up.

    Nothing is warmed up here: who compares outputs first, as everybody should, has done that. A contender that times
    itself returns its seconds as a float; the others are timed here.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    began = time.perf_counter()
    for done in range(rounds):
        if done >= fewest and time.perf_counter() - began > most_seconds:
            break
        for name, contender in contenders.items():
            start = time.perf_counter()
            own = contender()
            seconds[name].append(own if isinstance(own, float) else time.perf_counter() - start)
    return {name: Timing(seconds=tuple(times)) for name, times in seconds.items()}


def times_faster(slow: Timing, fast: Timing) -> str:
    """`paired_ratio` for the cell of a table; one round has no range.

    >>> times_faster(Timing(seconds=(2.0, 3.0, 4.0)), Timing(seconds=(1.0, 1.0, 1.0)))
    '3.00x (2.00 to 4.00)'
    >>> times_faster(Timing(seconds=(2.0,)), Timing(seconds=(1.0,)))
    '2.00x'
    """
    middle, low, high = paired_ratio(slow, fast)
    return f"{middle:.2f}x" + (f" ({low:.2f} to {high:.2f})" if len(slow.seconds) > 1 else "")


def paired_ratio(slow: Timing, fast: Timing) -> tuple[float, float, float]:
    """Median, lowest and highest of slow/fast, round by round."""
    ratios = [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)
