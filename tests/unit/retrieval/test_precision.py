import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.precision import ranges_of, to_precision

VECTORS = np.random.default_rng(0).standard_normal((50, 12)).astype(np.float32)


def test_given_ranges_make_calls_agree():
    ranges = ranges_of(VECTORS)
    together = to_precision(VECTORS, "int8", ranges=ranges)
    np.testing.assert_array_equal(to_precision(VECTORS[3:4], "int8", ranges=ranges), together[3:4])
    assert (together.min(), together.max()) == (-128, 127)


def test_signs_are_packed_eight_to_a_byte():
    bits = to_precision(np.array([[1, -1, 1, 1, -1, -1, -1, -1, 2.0]], np.float32), "ubinary")
    assert bits.tolist() == [[0b10110000, 0b10000000]]


def test_one_vector_has_no_range():
    with pytest.raises(UserError, match="found one vector and no ranges"):
        to_precision(VECTORS[:1], "uint8")


def test_wrong_names_and_ranges_are_refused():
    with pytest.raises(UserError, match="precision: found 'int4', expected one of float32, int8"):
        to_precision(VECTORS, "int4")
    with pytest.raises(UserError, match=r"ranges: found the shape \(2, 5\), expected \(2, 12\)"):
        to_precision(VECTORS, "int8", ranges=np.zeros((2, 5)))


def test_no_vector_gives_no_row():
    assert to_precision(VECTORS[:0], "int8").shape == (0, 12)
    assert to_precision(VECTORS[:0], "binary").shape == (0, 2)
