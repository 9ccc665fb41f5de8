"""Folders for the Hub: what opens them, and what their cards say."""

import numpy as np
import pytest
import torch
import yaml

from modernbert.core.errors import UserError
from modernbert.export.hub import Made, card, export_hub
from modernbert.infer.runtimes import open_session
from modernbert.model.heads import SequenceClassifier
from modernbert.retrieval.embedder import Embedder
from support.retrieval import write_model
from support.small import small_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TEXTS = ["the keeper lit the lamp", "", "fog from the north"]


def _front(folder):
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body


def test_an_embedder_opens_in_sentence_transformers_and_its_graph_gives_the_same(tmp_path):
    stock = pytest.importorskip("sentence_transformers")
    model, tokenizer = small_model()
    ours = Embedder(model.model, tokenizer, pooling="mean")
    ours.save_pretrained(tmp_path / "model")
    made = export_hub(
        str(tmp_path / "model"), tmp_path / "hub", precisions=("float32", "float16"), head=None, texts=TEXTS
    )
    truth = ours.encode(TEXTS)
    opened = stock.SentenceTransformer(str(tmp_path / "hub"), device="cpu")
    np.testing.assert_allclose(opened.encode(TEXTS), truth, atol=1e-5)
    names = {path.relative_to(tmp_path / "hub").as_posix() for path in (tmp_path / "hub").rglob("*") if path.is_file()}
    assert {"onnx/model.onnx", "onnx/model_fp16.onnx", "model.safetensors", "tokenizer.json", "modules.json"} < names
    assert not [name for name in names if "part" in name or "export.json" in name]
    run = open_session(tmp_path / "hub" / "onnx" / "model.onnx", "onnxruntime", outputs=["sentence_embedding"])
    ids = np.array(tokenizer.encode(TEXTS[:1]).ids)
    np.testing.assert_allclose(run(ids, np.ones_like(ids))[0], truth[:1], atol=1e-5)
    front, body = _front(tmp_path / "hub")
    assert (front["pipeline_tag"], front["library_name"]) == ("sentence-similarity", "sentence-transformers")
    assert front["tags"] == ["modernbert", "onnx", "transformers.js"]
    assert [each.manifest.precision for each in made.graphs] == ["float32", "float16"]
    assert f"| onnx/model.onnx | float32 | fp32 | {made.graphs[0].bytes / 1e6:.1f} |" in body


def test_a_graph_that_lost_too_much_is_left_out_and_the_rest_is_there(tmp_path):
    folder = write_model(tmp_path / "model", SequenceClassifier, labels=("bad", "good"), max_position_embeddings=200)
    (folder / "README.md").write_text("---\nlicense: mit\ntags: moods\n---\n# Moods\n\nTells them apart.\n")
    made = export_hub(
        str(folder), tmp_path / "hub", precisions=("float32", "int8"), head=None, texts=TEXTS * 3, most_lost=-1000.0
    )
    assert [each.manifest.precision for each in made.graphs] == ["float32"]
    assert "int8 costs" in made.refused[0]
    assert [path.name for path in (tmp_path / "hub" / "onnx").iterdir()] == ["model.onnx"]
    front, body = _front(tmp_path / "hub")
    assert (front["license"], front["pipeline_tag"]) == ("mit", "text-classification")
    assert front["tags"] == ["moods", "modernbert", "onnx", "transformers.js"]
    assert "Tells them apart." in body
    assert "int8" not in body
    stock = pytest.importorskip("transformers").AutoModelForSequenceClassification.from_pretrained(tmp_path / "hub")
    ids = torch.tensor([[5, 6, 7]])
    assert stock(input_ids=ids).logits.shape == (1, 2)
    with pytest.raises(UserError, match="is there already"):
        export_hub(str(folder), tmp_path / "hub", precisions=(), head=None, texts=())


def test_without_graphs_a_card_names_the_model_only():
    said = card("team/model", "", Made(graphs=(), refused=()), "fill-mask")
    assert said == ("---\npipeline_tag: fill-mask\nlibrary_name: transformers\ntags:\n- modernbert\n---\n\n# model\n")
