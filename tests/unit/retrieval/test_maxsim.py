import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval import maxsim as module
from modernbert.retrieval.maxsim import maxsim, maxsim_evidence, maxsim_slowly


def _vectors(*lengths, seed=0):
    chance = np.random.default_rng(seed)
    return [chance.standard_normal((length, 16)).astype(np.float32) for length in lengths]


@pytest.mark.parametrize("budget", [1, 40, 10**7])
def test_the_fast_path_gives_what_the_formula_says(monkeypatch, budget):
    monkeypatch.setattr(module, "_AT_ONCE", budget)
    queries, documents = _vectors(3, 1, 0, 7), _vectors(5, 0, 1, 30, 2, 0, seed=1)
    np.testing.assert_allclose(maxsim(queries, documents), maxsim_slowly(queries, documents), atol=1e-4)


def test_an_empty_document_never_wins():
    query = -np.eye(2, dtype=np.float32)
    scores = maxsim([query], [np.eye(2, dtype=np.float32) + 1, np.zeros((0, 2), np.float32)])
    assert scores[0, 0] < 0
    assert scores[0, 1] == -np.inf


def test_equal_documents_tie_exactly():
    (query,), (document,) = _vectors(8), _vectors(9, seed=2)
    scores = maxsim([query], [document, *_vectors(3, 4), document, document])[0]
    assert scores[0] == scores[3] == scores[4]


def test_evidence_names_the_first_of_equal_tokens_and_adds_up_to_the_score():
    (query,), (document,) = _vectors(4), _vectors(6, seed=3)
    document = np.concatenate([document, document])
    found = maxsim_evidence(query, document)
    assert (found.best < 6).all()
    np.testing.assert_allclose(found.scores.sum(), maxsim([query], [document])[0, 0], rtol=1e-6)
    nothing = maxsim_evidence(query, document[:0])
    assert nothing.best.tolist() == [-1] * 4
    assert (nothing.scores == -np.inf).all()


def test_nothing_gives_no_scores():
    assert maxsim([], _vectors(2)).shape == (0, 1)
    assert maxsim(_vectors(2), []).shape == (1, 0)


def test_vectors_of_other_models_are_refused():
    with pytest.raises(UserError, match="all of one width: encode both sides with one model"):
        maxsim(_vectors(2), [np.zeros((2, 5), np.float32)])
