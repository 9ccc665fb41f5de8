import numpy as np
import pytest
from scipy.spatial.distance import cdist

from modernbert.core.errors import UserError
from modernbert.retrieval.similarity import similar, similarity_named, unit

DRAWN = np.random.default_rng(0)
QUERIES, DOCUMENTS = (DRAWN.normal(size=(number, 7)).astype(np.float32) for number in (3, 5))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("cosine", 1 - cdist(QUERIES, DOCUMENTS, "cosine")),
        ("dot", [[sum(map(float.__mul__, q.tolist(), d.tolist())) for d in DOCUMENTS] for q in QUERIES]),
        ("euclidean", -cdist(QUERIES, DOCUMENTS, "euclidean")),
        ("manhattan", -cdist(QUERIES, DOCUMENTS, "cityblock")),
    ],
)
def test_each_similarity_is_what_scipy_computes(how, expected):
    np.testing.assert_allclose(similar(QUERIES, DOCUMENTS, how), expected, atol=1e-5)


def test_distances_of_near_vectors_do_not_cancel():
    far = np.full((1, 4), 1e4, dtype=np.float32)
    near = far + np.float32(0.01)
    assert similar(far, near, "euclidean") == pytest.approx(-float(np.linalg.norm((near - far).astype(np.float64))))


def test_whole_numbers_are_compared_as_floats():
    bytes_ = np.array([[100, 100]], dtype=np.int8)
    assert similar(bytes_, bytes_, "dot") == 20_000


def test_zeros_stay_zeros_and_others_get_length_one():
    found = unit(np.array([[0.0, 0.0], [3.0, 4.0]], dtype=np.float32))
    np.testing.assert_allclose(found, [[0, 0], [0.6, 0.8]], atol=1e-7)


def test_names_are_known_or_refused():
    assert similarity_named(None, "here") == "cosine"
    assert similarity_named("dot", "here") == "dot"
    with pytest.raises(UserError, match=r"here: similarity_fn_name: found 'maxsim', expected one of cosine, dot, "):
        similarity_named("maxsim", "here")
