"""Probabilities that mean what they say: one temperature, fitted on the validation rows (Guo et al., arXiv 1706.04599).

Shapes:  N rows   C labels
"""

import numpy as np

from modernbert.core.errors import require

_BOUNDS = (-3.0, 3.0)
"""Of the temperature's logarithm."""


def temperature(logits_NC: np.ndarray, targets: np.ndarray) -> float:
    """By which logits are divided so that their softmax fits the targets best (of several labels, their sigmoid).

    Args:
        targets: a label's number a row [N], or 0 and 1 for each label [N, C].
    """
    optimize = require("scipy.optimize", extra="finetune")
    found = optimize.minimize_scalar(
        lambda log: loss(logits_NC / np.exp(log), targets), bounds=_BOUNDS, method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(found.x)) if found.fun < loss(logits_NC, targets) else 1.0


def loss(logits_NC: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log-likelihood."""
    logits_NC = np.asarray(logits_NC, dtype=np.float64)
    if targets.ndim == 2:
        return float(np.mean(np.logaddexp(0, logits_NC) - logits_NC * targets))
    highest_N1 = logits_NC.max(1, keepdims=True)
    norms_N = np.log(np.exp(logits_NC - highest_N1).sum(1)) + highest_N1[:, 0]
    return float(np.mean(norms_N - logits_NC[np.arange(len(targets)), targets]))


def calibration_error(probabilities_NC: np.ndarray, targets_N: np.ndarray, *, num_bins: int = 15) -> float:
    """Expected calibration error: how far confidence and accuracy are apart, averaged over bins of equal width."""
    confidence_N = probabilities_NC.max(1)
    is_right_N = probabilities_NC.argmax(1) == targets_N
    bins_N = np.minimum((confidence_N * num_bins).astype(int), num_bins - 1)
    return float(
        sum(
            abs(confidence_N[bins_N == place].mean() - is_right_N[bins_N == place].mean()) * (bins_N == place).mean()
            for place in range(num_bins)
            if (bins_N == place).any()
        )
    )
