import json

import pytest

from modernbert.core.errors import CheckpointError
from modernbert.retrieval.embedder import Embedder
from modernbert.serve.opening import engines_of, open_predictors
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
