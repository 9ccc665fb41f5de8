"""Folders for old programs. That transformers 4.57 gives equal outputs was tried by hand: docs/export.md says how."""

import json

import numpy as np
import pytest

from modernbert.core.errors import UnsupportedError, UserError
from modernbert.export.legacy import export_legacy
from modernbert.retrieval.dense import Dense, Normalize
from modernbert.retrieval.embedder import Embedder
from support.retrieval import write_pylate
from support.small import small_checkpoint

OLD_KEYS = {"global_rope_theta", "local_rope_theta", "global_attn_every_n_layers"}
NEW_KEYS = {"rope_parameters", "layer_types"}


def test_both_generations_find_their_words(tmp_path):
    source = small_checkpoint(tmp_path / "model")
    path = source / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers"}
    path.write_text(json.dumps(settings | {"extra_special_tokens": ["[A]"]}))
    export_legacy(str(source), tmp_path / "legacy")
    written = json.loads((tmp_path / "legacy" / "tokenizer_config.json").read_text())
    assert written["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert written["additional_special_tokens"] == ["[A]"]
    assert not {"backend", "extra_special_tokens"} & written.keys()
    config = json.loads((tmp_path / "legacy" / "config.json").read_text())
    assert config.keys() >= OLD_KEYS | NEW_KEYS
    assert config["layer_norm_eps"] == config["norm_eps"]
    with pytest.raises(UserError, match="is there already"):
        export_legacy(str(source), tmp_path / "legacy")


def test_what_stands_behind_pooling_goes_along(tmp_path):
    plain = Embedder.from_pretrained(small_checkpoint(tmp_path / "plain"), dtype="float32", pooling="cls")
    model = Embedder(plain.encoder, plain.tokenizer, pooling="cls", behind=[Dense(plain.width, 8), Normalize()])
    model.save_pretrained(tmp_path / "model")
    export_legacy(str(tmp_path / "model"), tmp_path / "legacy")
    kinds = [each["type"] for each in json.loads((tmp_path / "legacy" / "modules.json").read_text())]
    assert [kind.rpartition(".")[0] for kind in kinds] == ["sentence_transformers.models"] * 4
    found = Embedder.from_pretrained(tmp_path / "legacy", dtype="float32").encode(["a", "the keeper"])
    np.testing.assert_array_equal(found, model.encode(["a", "the keeper"]))


def test_what_old_releases_do_not_know_is_refused(tmp_path):
    folder = write_pylate(tmp_path / "late")
    listed = json.loads((folder / "modules.json").read_text())
    listed.append({"idx": 9, "name": "9", "path": "9_Mask", "type": "sentence_transformers.models.MultiVectorMask"})
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UnsupportedError, match="found the module MultiVectorMask, expected Pooling, Dense, Normalize"):
        export_legacy(str(folder), tmp_path / "legacy")
    assert not (tmp_path / "legacy").exists()
