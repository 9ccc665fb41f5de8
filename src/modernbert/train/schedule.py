"""What changes while tokens are read: the learning rate (warm-up, stable, decay; MiniCPM, arXiv 2404.06395) and the batch."""

from math import cos, floor, pi, sqrt

from modernbert.train.config import Batch, Schedule


def learning_rate_share(schedule: Schedule, at: float, total: float) -> float:
    """Which share of the peak learning rate applies `at` so many tokens into a stage of `total`; continuous.

    For a step, ask for the middle of its batch: tokens read before plus half of its own. That is the mean rate of its tokens
    where the rate is a straight line, and neither the first nor the last step is lost to a rate of 0.
    1-sqrt is Hägele et al.'s (arXiv 2405.18392), which beat linear and cosine in ModernBERT's ablations.

    >>> from modernbert.core.quantities import Tokens
    >>> schedule = Schedule(warmup=Tokens(100), decay=Tokens(500))
    >>> [round(learning_rate_share(schedule, at, 1000), 2) for at in (50, 300, 625, 1000)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if at < schedule.warmup:
        return max(0.0, at / schedule.warmup)
    decay = total - schedule.warmup if schedule.decay == "all" else schedule.decay
    into = at - (total - decay)
    if into <= 0 or decay <= 0:
        return 1.0
    return schedule.floor + (1.0 - schedule.floor) * _left(schedule.shape, min(1.0, into / decay))


def rows_per_batch(batch: Batch, at: int, room: int) -> int:
    """Rows of `room` tokens in the next batch, `at` so many tokens into the stage; at least 1.

    The square of the size grows in a straight line over the tokens, so the size does over the steps.

    >>> from modernbert.core.quantities import Tokens
    >>> batch = Batch(size=Tokens(4096), start=Tokens(1024), over=Tokens(100_000))
    >>> [rows_per_batch(batch, at, room=256) for at in (0, 50_000, 100_000, 10**9)]
    [4, 12, 16, 16]
    """
    size = float(batch.size)
    if batch.start is not None and at < batch.over:
        size = sqrt(batch.start**2 + at / batch.over * (batch.size**2 - batch.start**2))
    return max(1, floor(size / room + 0.5))


def _left(shape: str, gone: float) -> float:
    """From 1 to 0 while `gone` goes from 0 to 1."""
    match shape:
        case "1-sqrt":
            return 1.0 - sqrt(gone)
        case "cosine":
            return (1.0 + cos(pi * gone)) / 2.0
        case _:
            return 1.0 - gone
