"""What other programs do not judge (see tests/parity): the activation that NumPy lacks, and what neighbours may change."""

import math

import numpy as np
import pytest

from modernbert.model.arrays import read_weights
from modernbert.model.hf_config import from_file
from modernbert.model.in_numpy import _gelu, encode, pool
from modernbert.model.store import fresh, save
from support.tiny import random_documents, tiny_config


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save(fresh(tiny_config(), seed=1), folder)
    config, architecture = from_file(folder / "config.json")
    weights = read_weights(folder, config, architecture)
    assert weights is not None
    return weights, config


def test_gelu_is_the_exact_one():
    x = np.linspace(-12, 12, 4801, dtype=np.float32)
    truth = np.array([0.5 * value * math.erfc(-value / math.sqrt(2)) for value in x.astype(float).tolist()])
    assert np.abs(_gelu(x) - truth).max() < 1e-6
    small = (x < -1) & (x > -6)
    assert np.abs(_gelu(x)[small] / truth[small] - 1).max() < 2e-5  # far out, too, where little is left
    assert _gelu(np.float32([0, -np.inf, 80, -80])[[0, 2, 3]]).tolist() == [0, 80, 0]


def test_a_document_has_the_same_states_beside_others(model):
    weights, config = model
    documents = random_documents((66, 1, 300, 130))
    together = encode(weights, config, documents)
    alone = np.concatenate([encode(weights, config, [document]) for document in documents])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    documents[2][7] += 1
    changed = encode(weights, config, documents)
    assert np.abs(changed[67:367] - together[67:367]).max() > 1e-3
    others = np.r_[0:67, 367:497]
    np.testing.assert_array_equal(changed[others], together[others])


def test_pooling_is_over_each_document():
    states = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert pool(states, [1, 3, 2], "cls").tolist() == [[0, 1], [2, 3], [8, 9]]
    assert pool(states, [1, 3, 2], "mean").tolist() == [[0, 1], [4, 5], [9, 10]]
