"""What is packaged is listed from its files, and taken away as a folder that others open."""

import json

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer

from modernbert.core.errors import CheckpointError, UserError
from modernbert.model.catalogue import catalogue, take, whole
from modernbert.model.counts import num_parameters
from modernbert.model.store import load
from modernbert.retrieval.embedder import Embedder
from support.packages import package

TEXTS = ["import os", "x = 1\n" * 30, "def add(a, b): return a + b"]


def test_every_entry_tells_what_its_files_say(tmp_path, monkeypatch):
    folder = package(tmp_path, monkeypatch, "embedding")
    trunk, head = catalogue()
    assert (trunk.name, trunk.task, trunk.about) == ("wee", "fill-mask", "A wee model for tests")
    assert trunk.parameters == num_parameters(load("wee").config)
    assert trunk.longest == 1024
    assert (head.name, head.task) == ("wee:embedding", "sentence-similarity")
    layers = 4 * (3 * 128 + 128 + 128 + 128 + 2 * 192 + 128 + 192 + 128)
    assert head.parameters == 4 * layers  # thin matrices of rank 4: rows and columns of each
    assert head.bytes < trunk.bytes
    assert head.folder == folder / "heads" / "embedding"
    assert len({trunk.signature, head.signature}) == 2


def test_a_head_taken_away_is_whole_and_sentence_transformers_agrees(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, "embedding")
    take("wee:embedding", tmp_path / "mine")
    ours = Embedder.from_pretrained("wee", dtype="float32").encode(TEXTS)
    theirs = SentenceTransformer(str(tmp_path / "mine"), device="cpu", model_kwargs={"attn_implementation": "eager"})
    np.testing.assert_allclose(theirs.encode(TEXTS), ours, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(Embedder.from_pretrained(tmp_path / "mine", dtype="float32").encode(TEXTS), ours)


def test_a_trunk_taken_away_opens_with_transformers(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch)
    take("wee", tmp_path / "mine")
    stock = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "mine")
    assert torch.equal(stock.decoder.weight, load("wee", dtype=torch.float32).decoder.weight)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "mine")("x").input_ids


def test_a_head_is_whole_as_long_as_it_is_looked_at(tmp_path, monkeypatch):
    trunk = package(tmp_path, monkeypatch, "embedding")
    with whole(trunk) as folder:
        assert folder == trunk
    with whole("wee:embedding") as folder:
        assert (folder / "tokenizer.json").is_file()
        transformers.AutoModel.from_pretrained(folder)
    assert not folder.exists()


@pytest.mark.parametrize("path", ["../elsewhere", "2_Nowhere"])
def test_layers_that_are_not_beside_the_model_are_refused(tmp_path, monkeypatch, path):
    trunk = package(tmp_path, monkeypatch)
    (tmp_path / "models" / "elsewhere").mkdir()
    (trunk / "modules.json").write_text(json.dumps([{"path": ""}, {"path": path}]))
    with pytest.raises(CheckpointError, match=f"found the path '{path}', expected a folder beside it"):
        take(trunk, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_taken_is_refused(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(UserError, match="is there already"):
        take("wee", tmp_path / "mine")
