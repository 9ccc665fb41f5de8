import numpy as np
import pytest

from modernbert.core.errors import CheckpointError, UserError
from modernbert.retrieval.reranker import Reranker
from support.retrieval import write_classifier
from support.small import small_checkpoint

LONG = "the keeper counted ships " * 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("models") / "one", 1)


def test_the_document_is_cut_and_never_the_question(folder, capsys):
    model = Reranker.from_pretrained(folder, dtype="float32")
    question = "fog from the north? " * 100
    found = model.predict([(question, LONG), (question, LONG + " and more"), (question, "x")])
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert "2 of 3 pairs were longer than 1,024 tokens" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"the question of pair 0 has .* tokens, which leaves no room"):
        model.predict([(LONG, "x")])
    with pytest.raises(UserError, match=r"pair 1 has .* tokens, expected 1,024 or fewer"):
        Reranker.from_pretrained(folder, too_long="refuse").predict([("a", "b"), ("a", LONG)])


def test_wrong_inputs_are_named(folder, tmp_path):
    model = Reranker.from_pretrained(folder)
    with pytest.raises(UserError, match=r"pairs\[1\] is no pair"):
        model.predict([("a", "b"), ("a",)])
    with pytest.raises(TypeError, match="takes a list of pairs"):
        model.predict("ab")
    assert model.predict([]).shape == (0,)
    with pytest.raises(CheckpointError, match="found ModernBertForMaskedLM, expected ModernBertForSequence"):
        Reranker.from_pretrained(small_checkpoint(tmp_path / "plain"))
    with pytest.raises(UserError, match="found a model with 3 labels, expected one to rank by"):
        Reranker.from_pretrained(write_classifier(tmp_path / "three", 3)).rank("a", ["b"])


def test_ranks_follow_scores(folder):
    model = Reranker.from_pretrained(folder, dtype="float32")
    documents = ["fog", "ships", "fog", "a"]
    found = model.rank("what?", documents, top_k=3)
    scores = model.predict([("what?", document) for document in documents])
    assert [each.corpus_id for each in found] == sorted(range(4), key=lambda i: -scores[i])[:3]
    assert np.isfinite(scores).all()
