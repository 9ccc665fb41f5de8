"""Rank correlation with NumPy alone, for where SciPy may not be installed."""

from collections.abc import Sequence

import numpy as np


def spearman(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> float:
    """Rank correlation; equal numbers share their mean rank."""
    first, second = _ranks(np.asarray(one)), _ranks(np.asarray(other))
    if min(first.std(), second.std()) == 0:
        return float(np.array_equal(first, second))
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(numbers: np.ndarray) -> np.ndarray:
    values, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places] if len(values) else np.zeros(0)
