import numpy as np

from modernbert.infer.padding import padded


def test_padding_is_on_the_right_and_masked():
    ids, mask = padded([[7, 8, 9], [5]], pad_id=1)
    np.testing.assert_array_equal(ids, [[7, 8, 9], [5, 1, 1]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0]])
