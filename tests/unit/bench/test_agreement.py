import numpy as np
import pytest

from modernbert.bench.agreement import disagreement, largest_difference

TRUTH = np.linspace(-1, 1, 60, dtype=np.float32).reshape(20, 3)


def test_float32_may_differ_by_a_ten_thousandth():
    assert disagreement(TRUTH + 5e-5, TRUTH, "float32", stock_error=None) == ""
    assert "differ from stock's by 2.0e-04, expected 0.0001 at most" in disagreement(
        TRUTH + 2e-4, TRUTH, "float32", stock_error=None
    )


def test_bfloat16_may_differ_by_twice_what_stocks_does():
    assert disagreement(TRUTH + 0.02, TRUTH, "bfloat16", stock_error=0.01) == ""
    assert "expected 2.1e-02 at most" in disagreement(TRUTH + 0.03, TRUTH, "bfloat16", stock_error=0.01)


def test_int8_has_to_point_the_same_way():
    assert disagreement(TRUTH * 1.1, TRUTH, "int8", stock_error=None) == ""
    assert "cosine" in disagreement(TRUTH[::-1], TRUTH, "int8", stock_error=None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_what_is_not_finite_is_never_equal(dtype):
    broken = TRUTH.copy()
    broken[3, 1] = np.nan
    assert disagreement(broken, TRUTH, dtype, stock_error=1.0) == "its outputs are not all finite"


def test_the_largest_difference_is_of_any_number():
    other = TRUTH.copy()
    other[7, 2] -= 3
    assert largest_difference(other, TRUTH) == pytest.approx(3, abs=1e-6)
