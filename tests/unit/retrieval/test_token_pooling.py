import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.similarity import unit
from modernbert.retrieval.token_pooling import pool_tokens


def _bundles(num=4, each=3, width=16):
    """Tokens in tight bundles that lie far apart, the tokens of each side by side."""
    draw = np.random.default_rng(2)
    centres = np.linalg.qr(draw.normal(size=(width, width)))[0][:num]
    return unit((np.repeat(centres, each, axis=0) + 0.01 * draw.normal(size=(num * each, width))).astype(np.float32))


def test_tokens_that_lie_together_become_their_mean():
    tokens = _bundles()
    found = pool_tokens(tokens, 3, num_protected=0)
    expected = unit(tokens.reshape(4, 3, -1).mean(axis=1))
    nearest = (found @ expected.T).argmax(axis=1)
    assert sorted(nearest) == [0, 1, 2, 3]
    np.testing.assert_allclose(found, expected[nearest], atol=1e-6)


def test_means_keep_their_length_where_they_are_not_normalised():
    tokens = _bundles(num=1, each=4)
    tokens[:2] *= -1
    (mean,) = pool_tokens(tokens, 4, num_protected=0, normalize=False)
    np.testing.assert_allclose(mean, tokens.mean(axis=0), atol=1e-6)
    assert np.linalg.norm(mean) < 0.1


def test_the_first_tokens_stay_and_come_first():
    tokens = _bundles()
    found = pool_tokens(tokens, 2, num_protected=2, normalize=False)
    np.testing.assert_array_equal(found[:2], tokens[:2])
    assert len(found) == 2 + 10 // 2


@pytest.mark.parametrize("factor", [1, 1.0])
def test_a_factor_of_one_keeps_all(factor):
    np.testing.assert_allclose(pool_tokens(_bundles(), factor), _bundles(), atol=1e-6)


@pytest.mark.parametrize("num", [0, 1, 2])
def test_few_tokens_are_no_trouble(num):
    tokens = _bundles()[:num]
    np.testing.assert_allclose(pool_tokens(tokens, 100), tokens, atol=1e-6)


@pytest.mark.parametrize(("factor", "protected"), [(0.5, 1), (float("nan"), 1), (2, -1)])
def test_what_cannot_be_meant_is_refused(factor, protected):
    with pytest.raises(UserError, match=rf"found the factor {factor} and {protected} protected tokens, expected 1 or"):
        pool_tokens(_bundles(), factor, num_protected=protected)


def test_a_chain_of_tokens_is_cut_into_even_pieces():
    """As Ward's criterion does it: linkage by the nearest pair would put nearly all of a chain together."""
    angles = np.cumsum(0.05 + 0.001 * np.arange(24))
    tokens = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = pool_tokens(tokens, 6, num_protected=0)
    sizes = np.bincount((tokens @ found.T).argmax(axis=1))
    assert len(sizes) == 4
    assert sizes.max() <= 10
