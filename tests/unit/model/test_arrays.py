import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from modernbert.model.arrays import ARCHITECTURES, read_weights
from modernbert.model.heads import ARCHITECTURES as MODULES
from modernbert.model.hf_config import from_file
from modernbert.model.store import fresh, save
from support.tiny import tiny_config


def _read(folder):
    config, architecture = from_file(folder / "config.json")
    return read_weights(folder, config, architecture)


@pytest.fixture
def folder(tmp_path):
    save(fresh(tiny_config(), seed=1), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("biases", [False, True], ids=["no biases", "biases"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_every_weight_that_is_saved_is_read(architecture, biases, tied, tmp_path):
    config = tiny_config(
        tie_word_embeddings=tied, attention_bias=biases, mlp_bias=biases, norm_bias=biases, classifier_bias=biases,
        decoder_bias=not biases, labels=("a", "b", "c"),
    )  # fmt: skip
    model = fresh(config, MODULES[architecture], seed=2)
    save(model, tmp_path)
    weights = _read(tmp_path)
    assert weights is not None
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(torch.from_numpy(weights.whole(name)), tensor), name


def test_other_architectures_are_left_to_torch(tmp_path):
    for name in MODULES.keys() - set(ARCHITECTURES):
        save(fresh(tiny_config(), MODULES[name]), tmp_path / name)
        assert _read(tmp_path / name) is None


def _without_a_norm(tensors):
    del tensors["model.final_norm.weight"]


def _with_a_stranger(tensors):
    tensors["model.lora"] = torch.zeros(3)


def _of_another_width(tensors):
    tensors["head.dense.weight"] = torch.zeros(128, 64)


def _in_whole_numbers(tensors):
    tensors["decoder.bias"] = tensors["decoder.bias"].to(torch.int8)


@pytest.mark.parametrize("change", [_without_a_norm, _with_a_stranger, _of_another_width, _in_whole_numbers])
def test_what_is_not_as_expected_is_left_to_torch(change, folder):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    assert _read(folder) is None


def test_a_damaged_file_is_left_to_torch_whose_sentence_says_so(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert _read(folder) is None
    path.rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))
    assert _read(folder) is None
