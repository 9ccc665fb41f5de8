"""Spans of random length at random places, so that every token has the same chance to be in one.

SpanBERT (Joshi et al. 2020, arXiv 1907.10529, section 3.1) draws spans until a budget is used up; that needs a loop,
and makes tokens at the ends of a text rarer. Here the stream is a chain of units, a span or a single token that is left
alone, each drawn by itself, which has been going on for ever when the text begins (a stationary renewal process).

Shapes:  U units   T tokens
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

LONGEST = 10
"""Tokens of a span at most, as in SpanBERT."""


def draw_spans(
    num_tokens: int, rate: float, mean: float, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, "T"], Int[np.ndarray, "T"]]:
    """For each token whether it is in a span, and the number of its unit. Spans can touch: unit numbers tell them apart."""
    if not num_tokens:
        return np.empty(0, dtype=bool), np.empty(0, dtype=np.int64)
    chances = length_chances(mean)
    is_span_U = rng.random(num_tokens) < rate / (rate + mean * (1 - rate))  # of units, so that `rate` is of tokens
    cumulative = np.cumsum(chances)[:-1]
    lengths_U = np.where(is_span_U, 1 + np.searchsorted(cumulative, rng.random(num_tokens), side="right"), 1)
    # The unit that covers the first token has been met by chance: long ones more often, and somewhere in the middle.
    is_span_U[0] = rng.random() < rate
    left = np.cumsum(np.cumsum(chances[::-1])[::-1] / mean)[:-1]
    lengths_U[0] = 1 + np.searchsorted(left, rng.random(), side="right") if is_span_U[0] else 1
    num_units = 1 + int(np.searchsorted(np.cumsum(lengths_U), num_tokens))
    unit_T = np.repeat(np.arange(num_units), lengths_U[:num_units])[:num_tokens]
    return is_span_U[unit_T], unit_T


@lru_cache(maxsize=16)
def length_chances(mean: float) -> Float[np.ndarray, "10"]:
    """Chances of the lengths 1 to `LONGEST`: geometric, cut off, with this mean (3.8 is SpanBERT's p = 0.2)."""
    lengths = np.arange(1, LONGEST + 1)

    def with_log_ratio(log_ratio: float) -> np.ndarray:
        weights = np.exp(log_ratio * (lengths - (LONGEST if log_ratio > 0 else 1)))
        return weights / weights.sum()

    low, high = -60.0, 60.0  # of one chance to the next; means above 5.5 take rising ones
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if with_log_ratio(middle) @ lengths < mean else (low, middle)
    return with_log_ratio(low)
