"""Adapters merged by us, against PEFT itself on stock transformers; and what is refused."""

import json

import pytest
import torch

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.model.encoder import Encoder
from modernbert.model.heads import SequenceClassifier, TokenClassifier
from modernbert.model.store import load
from modernbert.ops.packed import Packed
from support.packages import adapter
from support.small import small_checkpoint
from support.tiny import padded, random_documents

DOCUMENTS = random_documents([1, 2, 65, 130], seed=4)


@pytest.fixture
def trunk(tmp_path):
    return small_checkpoint(tmp_path / "trunk")


def stock_states(model):
    ids, mask = padded(DOCUMENTS)
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask), mask.bool()


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"r": 16, "target_modules": ["Wi"]}], ids=str)
def test_an_encoder_with_an_adapter_computes_what_pefts_does(trunk, tmp_path, settings):
    theirs, mask = stock_states(adapter(trunk, tmp_path / "head", **settings))
    ours = load(tmp_path / "head", dtype=torch.float32)
    assert type(ours) is Encoder
    torch.testing.assert_close(ours(Packed.from_lists(DOCUMENTS)), theirs.last_hidden_state[mask], rtol=1e-4, atol=1e-5)
    bare = load(trunk, Encoder, dtype=torch.float32)(Packed.from_lists(DOCUMENTS))
    assert (ours(Packed.from_lists(DOCUMENTS)) - bare).abs().max() > 0.1


def test_a_classifier_takes_what_was_trained_whole_and_the_rest_from_the_trunk(trunk, tmp_path):
    theirs, _ = stock_states(adapter(trunk, tmp_path / "head", architecture="ModernBertForSequenceClassification"))
    ours = load(tmp_path / "head", dtype=torch.float32)
    assert type(ours) is SequenceClassifier
    torch.testing.assert_close(ours(Packed.from_lists(DOCUMENTS)), theirs.logits, rtol=1e-4, atol=1e-5)


def test_a_token_classifier_too(trunk, tmp_path):
    theirs, mask = stock_states(adapter(trunk, tmp_path / "head", architecture="ModernBertForTokenClassification"))
    ours = load(tmp_path / "head", dtype=torch.float32)
    assert type(ours) is TokenClassifier
    torch.testing.assert_close(ours(Packed.from_lists(DOCUMENTS)), theirs.logits[mask], rtol=1e-4, atol=1e-5)


def rewrite(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, "found use_dora, expected plain LoRA: merge it with PEFT"),
        ({"rank_pattern": {"Wi": 2}}, "found rank_pattern, expected plain LoRA"),
        ({"peft_type": "IA3"}, "found peft_type 'IA3', expected plain LoRA"),
    ],
)
def test_what_would_be_merged_wrongly_is_refused(trunk, tmp_path, changes, message):
    adapter(trunk, tmp_path / "head")
    rewrite(tmp_path / "head", **changes)
    with pytest.raises(UnsupportedError, match=message):
        load(tmp_path / "head")


def test_an_adapter_of_other_weights_is_refused(trunk, tmp_path):
    adapter(trunk, tmp_path / "head")
    rewrite(tmp_path / "head", revision="0" * 64)
    with pytest.raises(
        CheckpointError, match=r"is a head on .* with weights 000000000000, found weights [0-9a-f]{12} there"
    ):
        load(tmp_path / "head")


@pytest.mark.parametrize("revision", [None, "main", "0" * 40])
def test_an_adapter_that_others_made_says_nothing_of_its_trunks_weights(trunk, tmp_path, revision):
    adapter(trunk, tmp_path / "head")
    rewrite(tmp_path / "head", revision=revision)
    assert type(load(tmp_path / "head")) is Encoder


def test_an_adapter_of_another_shape_is_refused(trunk, tmp_path):
    from dataclasses import replace

    from modernbert.model.heads import MaskedLM
    from modernbert.model.store import fresh, save

    adapter(trunk, tmp_path / "head")
    config = load(trunk).config
    save(fresh(replace(config, intermediate_size=64), MaskedLM), tmp_path / "other")
    rewrite(tmp_path / "head", base_model_name_or_path=str(tmp_path / "other"), revision=None)
    with pytest.raises(CheckpointError, match="the adapter belongs to another model"):
        load(tmp_path / "head")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_file_is_named(trunk, tmp_path, name):
    adapter(trunk, tmp_path / "head")
    (tmp_path / "head" / name).write_bytes(b"{nonsense")
    with pytest.raises(CheckpointError, match=f"{name} cannot be read .* fetch or write it again"):
        load(tmp_path / "head")


def test_a_config_that_says_too_little_is_refused(trunk, tmp_path):
    adapter(trunk, tmp_path / "head")
    rewrite(tmp_path / "head", r=None)
    with pytest.raises(CheckpointError, match="expected base_model_name_or_path, r, lora_alpha, as PEFT writes them"):
        load(tmp_path / "head")
