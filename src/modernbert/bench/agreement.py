"""Whether two backends computed the same: nothing is timed before its outputs were found equal.

float32 agrees to 1e-4. bfloat16 may be off by twice what stock's own bfloat16 is. int8 with random weights is only
kept from being nonsense: what it costs in accuracy has to be seen on a trained model.
"""

import numpy as np

from modernbert.bench.backends import Dtype

FLOAT32 = 1e-4
_SLACK = 1e-3
_INT8_COSINE = 0.95

CHECKED = (5, 130, 66, 300)
"""Tokens of the documents compared in full: around the window's edges, and padded to the longest of them."""


def largest_difference(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest absolute difference of any number."""
    return float(np.abs(found - truth).max())


def disagreement(found: np.ndarray, truth: np.ndarray, dtype: Dtype, *, stock_error: float | None) -> str:
    """Why the outputs do not count as equal, in words; empty when they do.

    Args:
        found: states of a backend.
        truth: stock's in float32.
        dtype: what the backend computes in.
        stock_error: largest difference of stock's in bfloat16 from its own in float32; needed for bfloat16.
    """
    if not np.isfinite(found).all():
        return "its outputs are not all finite"
    error = largest_difference(found, truth)
    if dtype == "float32":
        return (
            "" if error <= FLOAT32 else f"its outputs differ from stock's by {error:.1e}, expected {FLOAT32:g} at most"
        )
    if dtype == "bfloat16":
        assert stock_error is not None, "bfloat16 is judged by stock's own error"
        most = 2 * stock_error + _SLACK
        return "" if error <= most else f"its outputs differ from stock's by {error:.1e}, expected {most:.1e} at most"
    cosine = float((found * truth).sum() / np.sqrt((found**2).sum() * (truth**2).sum()))
    return (
        "" if cosine >= _INT8_COSINE else f"its outputs have cosine {cosine:.3f} with stock's, expected {_INT8_COSINE}"
    )
