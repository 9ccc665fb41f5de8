import numpy as np
import pytest

from modernbert.export.check import difference


def test_a_difference_is_a_share_of_the_rows_largest_and_no_number_is_infinitely_far():
    truth = np.array([[100.0, 1.0], [0.1, 0.0]])
    assert difference(truth + np.array([[1.0, 0.0], [0.0, 0.0]]), truth) == pytest.approx(0.01)
    assert difference(truth + np.array([[0.0, 0.0], [0.0, 0.01]]), truth) == pytest.approx(0.01)
    assert difference(np.array([[100.0, np.nan], [0.1, 0.0]]), truth) == float("inf")
    assert difference(truth[:1], truth) == float("inf")
