import json
import logging
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from modernbert.core.errors import CheckpointError
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from modernbert.model.heads import MaskedLM, QuestionAnswerer, SequenceClassifier, TokenClassifier
from modernbert.model.hub import folder_of
from modernbert.model.store import encoder_of, fresh, load, save
from modernbert.ops.packed import Packed
from support.tiny import random_documents, tiny_config

KINDS = (Encoder, MaskedLM, SequenceClassifier, TokenClassifier, QuestionAnswerer)


@pytest.fixture
def folder(tmp_path):
    save(fresh(tiny_config(), MaskedLM, seed=1), tmp_path / "model")
    return tmp_path / "model"


def _rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_was_saved_is_loaded_bit_for_bit(kind, tmp_path):
    model = fresh(tiny_config(labels=("a", "b")), kind, seed=3).eval()
    save(model, tmp_path)
    again = load(tmp_path, dtype=torch.float32)
    assert type(again) is kind
    assert again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert not again.training


def test_a_tied_decoder_is_stored_once_and_tied_again(folder):
    assert "decoder.weight" not in load_file(folder / "model.safetensors")
    model = load(folder)
    assert model.decoder.weight is model.model.embeddings.tok_embeddings.weight


def test_an_untied_decoder_is_stored_and_stays_apart(tmp_path):
    model = fresh(tiny_config(tie_word_embeddings=False), MaskedLM, seed=2)
    save(model, tmp_path)
    again = load(tmp_path, dtype="float32")
    assert torch.equal(again.decoder.weight, model.decoder.weight)
    assert not torch.equal(again.decoder.weight, again.model.embeddings.tok_embeddings.weight)


def test_shards_with_an_index_are_read(folder):
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, members in parts.items():
        save_file({name: tensors[name] for name in members}, folder / file)
    index = {"weight_map": {name: file for file, members in parts.items() for name in members}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    assert load(folder).state_dict().keys() == fresh(tiny_config()).state_dict().keys()


def test_the_encoder_of_a_task_checkpoint_can_be_had_alone(folder):
    packed = Packed.from_lists(random_documents([5, 70]))
    whole, encoder = load(folder), load(folder, Encoder)
    assert torch.equal(encoder(packed), whole.model(packed))
    assert encoder_of(whole) is whole.model
    assert encoder_of(encoder) is encoder


def test_another_head_keeps_what_fits_and_says_what_is_new(folder, capsys):
    classifier = load(folder, SequenceClassifier, seed=5)
    assert "classifier.weight, classifier.bias: not in the checkpoint, drawn anew" in capsys.readouterr().err
    assert torch.equal(classifier.head.dense.weight, load(folder).head.dense.weight)
    assert torch.equal(classifier.classifier.weight, load(folder, SequenceClassifier, seed=5).classifier.weight)
    assert float(classifier.classifier.weight.detach().std()) > 0


def test_a_bare_encoder_grows_a_head(tmp_path, capsys):
    save(fresh(tiny_config(), Encoder), tmp_path)
    model = load(tmp_path, MaskedLM)
    assert isinstance(model, MaskedLM)
    assert "head.dense.weight" in capsys.readouterr().err


def test_a_named_size_is_drawn_from_the_seed():
    one, same, other = load("tiny", seed=1), load("tiny", seed=1), load("tiny", seed=2)
    assert one.config == SIZES["tiny"]
    assert torch.equal(one.head.dense.weight, same.head.dense.weight)
    assert not torch.equal(one.head.dense.weight, other.head.dense.weight)


def test_a_dtype_asked_for_is_given(folder):
    assert load(folder, dtype=torch.bfloat16).head.dense.weight.dtype == torch.bfloat16


def test_the_automatic_dtype_says_which_and_why(folder, caplog):
    with caplog.at_level(logging.INFO):
        model = load(folder)
    (record,) = caplog.messages
    assert str(model.head.dense.weight.dtype).removeprefix("torch.") in record
    assert "because" in record


def test_saving_twice_keeps_the_other_files_of_the_folder(folder):
    (folder / "tokenizer.json").write_text("{}")
    save(load(folder), folder)
    assert (folder / "tokenizer.json").read_text() == "{}"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_crash_while_saving_leaves_the_old_weights(folder, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def crash(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save", crash)
    with pytest.raises(OSError, match="disk full"):
        save(fresh(tiny_config(), seed=9), folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def _cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _swap_shape(tensors):
    return tensors | {"head.norm.weight": torch.ones(7)}


DAMAGE = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        "model.safetensors is missing: fetch the folder again",
    ),
    "cut weights": (_cut, "model.safetensors is damaged"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "is damaged"),
    "one tensor less": (
        lambda f: _rewrite(f, lambda t: {n: x for n, x in t.items() if n != "model.layers.1.attn.Wo.weight"}),
        r"1 missing \(model.layers.1.attn.Wo.weight\)",
    ),
    "one tensor more": (
        lambda f: _rewrite(f, lambda t: t | {"model.layers.9.attn.Wo.weight": torch.ones(2)}),
        r"1 unexpected \(model.layers.9.attn.Wo.weight\)",
    ),
    "another shape": (lambda f: _rewrite(f, _swap_shape), r"head.norm.weight: found shape \(7,\), expected \(128,\)"),
    "a broken index": (
        lambda f: (f / "model.safetensors.index.json").write_text("[]"),
        "does not list which file holds which tensor",
    ),
    "an index to nowhere": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"x": "gone.safetensors"}}'),
        "gone.safetensors is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_refused_in_one_sentence(folder, damage):
    harm, message = DAMAGE[damage]
    harm(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_stranger_in_the_encoder_is_refused_for_another_kind_too(folder):
    _rewrite(folder, lambda t: t | {"model.layers.9.attn.Wo.weight": torch.ones(2)})
    with pytest.raises(CheckpointError, match="1 unexpected"):
        load(folder, Encoder)


def test_a_pickle_is_not_opened(folder):
    shutil.move(folder / "model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle, which can run code"):
        load(folder)


def test_an_architecture_of_no_known_kind_asks_which(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["MyOwn"]}))
    with pytest.raises(CheckpointError, match="architectures: found 'MyOwn', expected one of ModernBertModel"):
        load(folder)
    assert isinstance(load(folder, MaskedLM), MaskedLM)


def test_a_name_that_is_nothing_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"'no-such-model' is neither .* nor a folder here, nor a Hub id"):
        load("no-such-model")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CheckpointError, match="is a file, expected a folder"):
        folder_of(file)


def test_an_unknown_id_offline_is_one_sentence(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="'some/model' is no folder here, is not in the Hub cache") as caught:
        load("some/model")
    assert "\n" not in str(caught.value)


def test_an_id_the_hub_refuses_says_so(monkeypatch):
    from types import SimpleNamespace

    from huggingface_hub.errors import RepositoryNotFoundError

    def refuse(*_, **__):
        answer = SimpleNamespace(headers={}, request=None, status_code=404)
        raise RepositoryNotFoundError("404 Repository Not Found.\nmore", response=answer)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(
        CheckpointError, match=r"the Hub refused 'some/model' \(404 Repository Not Found\): check the id"
    ):
        folder_of("some/model")
