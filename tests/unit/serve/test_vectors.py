import base64

import numpy as np
import pytest

from modernbert.serve.errors import ApiError
from modernbert.serve.vectors import Wish, as_base64, checked


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]]), ([], []), ([[]], [[]])],
    ids=str,
)
def test_one_or_several_texts_or_ids_are_rows(inputs, rows):
    assert Wish(inputs=inputs).rows == rows


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nobody_is_given_what_is_no_number(bad):
    with pytest.raises(ApiError, match=r"numbers that are none \(NaN or infinite\)") as found:
        checked(np.array([[1.0, bad]]))
    assert found.value.status == 500
    assert checked(np.ones(3)).sum() == 3


def test_base64_is_little_endian_float32():
    (found,) = as_base64([np.array([1.0, -2.5])])
    assert base64.b64decode(found) == b"\x00\x00\x80\x3f\x00\x00\x20\xc0"
