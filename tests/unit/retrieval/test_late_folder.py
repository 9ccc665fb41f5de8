"""What the three kinds of late-interaction folders say; that their vectors are stock's is in tests/parity."""

import json
import string

import pytest
import tokenizers
import torch
from safetensors.torch import load_file

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.model.hub import tokenizer_folder
from modernbert.retrieval.dense import Dense, Normalize
from modernbert.retrieval.expansion import Expansion
from modernbert.retrieval.late_folder import check_marker, is_late, read_late
from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import SPECIAL
from support.retrieval import copied, long_tokenizer, write_model, write_pylate, write_stanford
from support.texts import small_tokenizer_folder


def _read(folder):
    return read_late(folder, Tokenizer.load(tokenizer_folder(folder)))


def _changed(folder, **settings):
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


@pytest.fixture(scope="module")
def pylate(tmp_path_factory):
    return write_pylate(tmp_path_factory.mktemp("late") / "pylate")


@pytest.fixture(scope="module")
def stanford(tmp_path_factory):
    metadata = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 24, "doc_maxlen": 180}
    return write_stanford(tmp_path_factory.mktemp("late") / "stanford", **metadata, attend_to_mask_tokens=True)


def test_a_pylate_folder_keeps_its_settings_flat(pylate):
    said, settings, layers = _read(pylate)
    assert is_late(pylate)
    assert said.settings["model_type"] == "ColBERT"
    assert (settings.prompts.named["query"], settings.prompts.named["document"]) == ("[Q] ", "[D] ")
    assert settings.expansion == Expansion(length=32)
    assert (settings.query_length, settings.document_length) == (None, 300)
    assert settings.skiplist == (",", ".")
    assert [type(layer) for layer in layers] == [Dense, Normalize]


def test_pylates_defaults_are_known(pylate, tmp_path):
    folder = copied(pylate, tmp_path / "folder")
    assert _read(_changed(folder, skiplist_words=None))[1].skiplist == tuple(string.punctuation)
    attends = _read(_changed(folder, attend_to_expansion_tokens=True, query_length=48))[1]
    assert attends.expansion == Expansion(length=48, is_attended=True)
    assert _read(_changed(folder, query_length=None))[1].expansion.length == 32
    without = _read(_changed(folder, do_query_expansion=False, query_length=48))[1]
    assert (without.expansion, without.query_length) == (None, 48)


def test_a_stanford_folder_has_its_projection_among_the_encoders_weights(stanford):
    _, settings, (dense, normalize) = _read(stanford)
    assert is_late(stanford)
    assert (settings.prompts.named["query"], settings.prompts.named["document"]) == ("[unused0] ", "[unused1] ")
    assert settings.expansion == Expansion(length=24, is_attended=True)
    assert settings.document_length == 180
    assert settings.skiplist == tuple(string.punctuation)
    assert isinstance(normalize, Normalize)
    torch.testing.assert_close(dense.linear.weight, load_file(stanford / "model.safetensors")["linear.weight"])


def test_other_folders_are_refused_by_what_they_are(pylate, stanford, tmp_path):
    plain = write_model(tmp_path / "plain")
    assert not is_late(plain)
    with pytest.raises(CheckpointError, match=r"found no modules\.json and the architecture 'ModernBertForMaskedLM'"):
        _read(plain)
    embedder = _changed(copied(pylate, tmp_path / "embedder"), model_type="SentenceTransformer")
    (embedder / "1_Pooling").mkdir()
    (embedder / "1_Pooling" / "config.json").write_text("{}")
    modules = json.loads((embedder / "modules.json").read_text())
    modules[1] = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    (embedder / "modules.json").write_text(json.dumps(modules))
    assert not is_late(embedder)
    with pytest.raises(CheckpointError, match=r"found a Pooling module, .* this is an embedder, open it with Embedder"):
        _read(embedder)
    lost = copied(stanford, tmp_path / "lost")
    write_model(tmp_path / "other")
    (lost / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"found no linear\.weight, which is ColBERT's projection"):
        _read(lost)


def _with_step(folder, kind, **settings):
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules.append({"idx": 9, "name": "9", "path": "9_Own", "type": f"sentence_transformers.x.{kind}"})
    path.write_text(json.dumps(modules))
    (folder / "9_Own").mkdir()
    (folder / "9_Own" / "config.json").write_text(json.dumps(settings))
    return folder


def test_steps_for_skipping_and_pooling_are_read(pylate, tmp_path):
    folder = _with_step(copied(pylate, tmp_path / "a"), "MultiVectorMask", skiplist_words=["!"])
    assert _read(folder)[1].skiplist == ("!",)
    assert _read(folder)[1].pools_normalize
    assert not _read(_with_step(copied(pylate, tmp_path / "c"), "HierarchicalTokenPooling", pool_factor=2))[
        1
    ].pools_normalize
    pooling = {"pool_factor": 2, "num_protected_tokens": 3, "normalize_embeddings": False}
    found = _read(_with_step(copied(pylate, tmp_path / "b"), "HierarchicalTokenPooling", **pooling))[1]
    assert (found.pool_factor, found.num_protected, found.pools_normalize) == (2.0, 3, False)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("MultiVectorMask", {"keep_only_token_ids": [5]}, "keep_only_token_ids is for images"),
        ("HierarchicalTokenPooling", {"tasks": ["query"]}, r"token pooling: found tasks \['query'\]"),
    ],
)
def test_what_is_not_built_is_refused(pylate, tmp_path, kind, settings, message):
    with pytest.raises(UnsupportedError, match=message):
        _read(_with_step(copied(pylate, tmp_path / "folder"), kind, **settings))


def test_a_marker_that_would_be_taken_apart_is_refused(tmp_path):
    check_marker("[Q] ", long_tokenizer("[Q] "), tmp_path)
    check_marker("query: ", long_tokenizer(), tmp_path)  # no token at all: a prompt in words
    said = json.loads((small_tokenizer_folder() / "tokenizer.json").read_text())
    said["model"]["vocab"]["[Q]"] = 9999
    tokenizer = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(said)), SPECIAL, longest=64)
    with pytest.raises(
        CheckpointError, match=r"found the marker '\[Q\]' in the vocabulary but not among the added tokens"
    ):
        check_marker("[Q] ", tokenizer, tmp_path)
