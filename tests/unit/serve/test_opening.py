import json
import sys

import numpy as np
import pytest
from fastapi.testclient import TestClient

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.export.write import export
from modernbert.retrieval.embedder import Embedder
from modernbert.serve.app import application
from modernbert.serve.config import Settings
from modernbert.serve.models import Models
from modernbert.serve.opening import engines_of, open_predictors, warm_up
from support.retrieval import write_classifier, write_model, write_pylate
from support.served import TEXTS, folder_of
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


EXPORTS = {
    "words": ("fill-mask", "/fill-mask", {"inputs": "The captain [MASK] seven lamps."}),
    "sentiment": ("classify", "/classify", {"inputs": TEXTS}),
    "entities": ("tag", "/tag", {"inputs": TEXTS}),
    "answers": ("answer", "/answer", {"inputs": {"question": "Who counted?", "context": TEXTS[0]}}),
    "reranker": ("rerank", "/rerank", {"query": "lamps", "texts": TEXTS}),
    "choices": ("choose", None, {}),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Graphs of everything, and of an embedder."""
    pytest.importorskip("onnxruntime")
    home = tmp_path_factory.mktemp("exports")
    sources = {kind: folder_of(kind) for kind in EXPORTS}
    model, tokenizer = small_model()
    sources["embedder"] = home / "weights"
    Embedder(model.model, tokenizer, pooling="mean").save_pretrained(sources["embedder"])
    for kind, folder in sources.items():
        export(str(folder), home / kind, backend="onnxruntime", precision="float32", head=None, texts=[])
    return home, sources


def _served(*sources, dtype="auto"):
    settings = Settings(dtype=dtype)
    models = Models.open([str(each) for each in sources], settings)
    return models, TestClient(application(settings, models), raise_server_exceptions=False)


def _numbers(found):
    """Every number in a body, and everything else without them."""
    match found:
        case dict():
            return [each for value in found.values() for each in _numbers(value)]
        case list():
            return [each for value in found for each in _numbers(value)]
        case float():
            return [found]
    return []


@pytest.mark.parametrize("kind", EXPORTS)
def test_an_exported_graph_is_served_and_answers_like_its_model(exported, kind):
    home, sources = exported
    ability, route, body = EXPORTS[kind]
    models, client = _served(home / kind)
    assert models.can(ability) == [kind]
    about = models.about(kind)
    assert (about.abilities, about.num_parameters, about.dtype) == ((ability,), None, "float32")
    models.warm_up()
    if route is None:
        return
    found, truth = (each.post(route, json=body) for each in (client, _served(sources[kind], dtype="float32")[1]))
    assert found.status_code == truth.status_code == 200, found.text
    assert len(_numbers(found.json())) > 0
    np.testing.assert_allclose(_numbers(found.json()), _numbers(truth.json()), atol=1e-4)


def test_an_exported_embedder_is_served_and_says_what_it_cannot(exported):
    home, sources = exported
    models, client = _served(home / "embedder", home / "sentiment")
    texts = [*TEXTS, "lamp " * 14, "bell", "fog " * 5]
    found, truth = (
        each.post("/embed", json={"inputs": texts}).json()
        for each in (client, _served(sources["embedder"], dtype="float32")[1])
    )
    np.testing.assert_allclose(found, truth, atol=1e-5)
    alone = [client.post("/embed", json={"inputs": text}).json()[0] for text in texts]
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert [each["num_parameters"] for each in client.get("/inside/server").json()["models"]] == [None, None]
    for route, body in {
        "/embed_all": {"inputs": "lamp"},
        "/explain": {"inputs": "lamp"},
        "/inside/attention": {"inputs": "lamp"},
    }.items():
        refused = client.post(route, json=body)
        assert refused.status_code == 422
        assert refused.json()["error"].startswith(
            "model: found an exported graph, expected a model with its weights for"
        )
        assert str(home) not in refused.text
    models.close()


def test_an_export_that_no_route_can_serve_is_refused(exported, tmp_path):
    _, sources = exported
    export(
        str(sources["words"]), tmp_path / "states", backend="onnxruntime", precision="float32", head="trunk", texts=[]
    )
    with pytest.raises(UnsupportedError, match="found an export with the head 'trunk', which no route serves"):
        open_predictors(str(tmp_path / "states"))
