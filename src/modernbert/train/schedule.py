"""The learning rate over a run: warm-up, stable, decay (MiniCPM, arXiv 2404.06395) with the 1-sqrt decay."""

import math

from modernbert.train.config import Schedule


def learning_rate_share(schedule: Schedule, spent: float) -> float:
    """Which share of the peak learning rate applies when this share of the budget is spent; continuous, and never 0.

    The decay is 1 - sqrt(x) (Hägele et al., arXiv 2405.18392), which beat linear and cosine in ModernBERT's ablations.

    >>> [round(learning_rate_share(Schedule(warmup=0.1, decay=0.5, floor=0.0), x), 2) for x in (0.05, 0.3, 0.625, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if spent < schedule.warmup:
        return max(schedule.floor, spent / schedule.warmup)
    into_decay = spent - (1.0 - schedule.decay)
    if schedule.decay == 0 or into_decay <= 0:
        return 1.0
    return schedule.floor + (1.0 - schedule.floor) * (1.0 - math.sqrt(min(1.0, into_decay / schedule.decay)))
