import warnings
from dataclasses import replace

import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.model.catalogue import whole
from modernbert.model.store import load
from modernbert.retrieval.training.config import TrainRetrieval
from modernbert.retrieval.training.stock import stock_loss, stock_model
from support.small import small_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(autouse=True)
def quiet_stock():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _made(folder, **settings):
    given = TrainRetrieval(**{"kind": "dense", "data": "d"} | settings)
    model = stock_model(given, folder)
    return model, stock_loss(given, model)


def test_each_kind_has_its_model_and_its_loss(folder):
    found = {
        (kind, loss): [type(one).__name__ for one in _made(folder, kind=kind, loss=loss)]
        for kind, loss in [("dense", None), ("dense", "distil"), ("late", None), ("late", "distil"), ("rerank", None)]
    }
    assert found == {
        ("dense", None): ["SentenceTransformer", "CachedMultipleNegativesRankingLoss"],
        ("dense", "distil"): ["SentenceTransformer", "DistillKLDivLoss"],
        ("late", None): ["MultiVectorEncoder", "CachedMultiVectorMultipleNegativesRankingLoss"],
        ("late", "distil"): ["MultiVectorEncoder", "MultiVectorDistillKLDivLoss"],
        ("rerank", None): ["CrossEncoder", "BinaryCrossEntropyLoss"],
    }


def test_settings_reach_model_and_loss(folder):
    model, loss = _made(folder, temperature=0.02, mini_batch_size=5, max_length=33, query_prompt="ask: ")
    assert (loss.scale, loss.mini_batch_size, model.max_seq_length) == (pytest.approx(50), 5, 33)
    assert model.prompts["query"] == "ask: "
    _, loss = _made(folder, kind="late", loss="distil", temperature=0.25, mini_batch_size=3)
    assert (loss.student_temperature, loss.teacher_temperature, loss.mini_batch_size) == (0.25, 0.25, 3)
    _, loss = _made(folder, matryoshka_dims=(128, 16))
    assert list(loss.matryoshka_dims) == [128, 16]


def test_fresh_heads_are_drawn_by_the_seed(folder):
    settings = TrainRetrieval(kind="rerank", data="d")
    weights = [stock_model(replace(settings, seed=seed), folder).state_dict() for seed in (1, 1, 2)]
    name = next(name for name in weights[0] if name.endswith("classifier.weight"))
    assert (weights[0][name] == weights[1][name]).all()
    assert (weights[0][name] != weights[2][name]).any()


@pytest.mark.parametrize("kind", ["dense", "late", "rerank"])
def test_a_packaged_head_is_trained_in_float32_though_it_is_stored_in_bfloat16(kind):
    with whole("nano:embedding") as folder:
        model = stock_model(TrainRetrieval(kind=kind, data="d"), folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    stored = load("nano:embedding", dtype=torch.float32).embeddings.tok_embeddings.weight
    assert any(torch.equal(parameter, stored) for parameter in model.parameters())


def test_what_cannot_be_trained_is_one_sentence(folder, tmp_path):
    with pytest.raises(UserError, match="matryoshka_dims: found 256, expected 1 to the model's width, 128"):
        _made(folder, matryoshka_dims=(128, 256))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"cannot be opened as a CrossEncoder \(.*\): check the folder"):
        _made(tmp_path, kind="rerank", model=str(tmp_path))
