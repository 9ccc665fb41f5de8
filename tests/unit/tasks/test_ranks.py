import numpy as np
import pytest
from scipy.stats import spearmanr

from modernbert.tasks.ranks import spearman


def test_rank_correlation_is_scipys_ties_and_all():
    draw = np.random.default_rng(0)
    one, other = draw.integers(0, 9, 50).astype(float), draw.normal(size=50)
    assert spearman(one, one + other) == pytest.approx(spearmanr(one, one + other).statistic)
