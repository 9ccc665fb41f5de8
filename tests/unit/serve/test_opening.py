import json
import sys

import pytest

from modernbert.core.errors import CheckpointError
from modernbert.retrieval.embedder import Embedder
from modernbert.serve.opening import engines_of, open_predictors, warm_up
from support.retrieval import write_classifier, write_model, write_pylate
from support.served import folder_of
from support.small import small_model

CAN = {
    "words": ["fill-mask", "embed", "zero-shot"], "sentiment": ["classify"], "entities": ["tag"], "answers": ["answer"],
    "choices": ["choose"], "reranker": ["rerank"], "late": ["late"], "sparse": ["sparse"],
    "inference": ["classify", "zero-shot"],
}  # fmt: skip


@pytest.mark.parametrize("kind", CAN)
def test_a_folder_says_what_it_can_do(kind):
    found = open_predictors(str(folder_of(kind)), dtype="float32")
    assert list(found) == CAN[kind]
    assert all(engines_of(predictor) for predictor in found.values())


def test_folders_of_sentence_transformers_and_others_are_known(tmp_path):
    model, tokenizer = small_model()
    Embedder(model.model, tokenizer, pooling="cls").save_pretrained(tmp_path / "embedder")
    write_pylate(tmp_path / "pylate")
    write_classifier(tmp_path / "several", 3)
    (tmp_path / "several" / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
    found = {each.name: list(open_predictors(str(each), dtype="float32")) for each in tmp_path.iterdir()}
    assert found == {"embedder": ["embed"], "pylate": ["late"], "several": ["rerank"]}


def test_a_model_that_was_trained_on_numbers_is_no_reranker(tmp_path):
    folder = write_classifier(tmp_path, 1)
    (folder / "prediction.json").write_text('{"task": "regression"}')
    assert list(open_predictors(str(folder), dtype="float32")) == ["classify"]


def test_what_one_folder_does_shares_its_weights():
    found = open_predictors(str(folder_of("words")), dtype="float32")
    weights = {id(next(engine.model.parameters())) for each in found.values() for engine in engines_of(each)}
    assert len(weights) == 1


def test_a_folder_of_something_else_is_refused(tmp_path):
    folder = write_model(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["ModernBertForSinging"]}))
    with pytest.raises(
        CheckpointError, match="found ModernBertForSinging, expected a ModernBERT encoder, one with a task's"
    ):
        open_predictors(str(folder))


def test_what_explains_a_classifier_is_imported_before_the_server_is_ready(monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    (classifier,) = open_predictors(str(folder_of("sentiment")), dtype="float32").values()
    assert "captum" not in sys.modules
    warm_up(classifier)
    assert "captum" in sys.modules


def test_a_classifier_is_served_without_what_explains_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    (classifier,) = open_predictors(str(folder_of("sentiment")), dtype="float32").values()
    warm_up(classifier)
