"""Averaging, against numpy on whole models flattened into one vector, as the paper writes it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from modernbert.core.errors import CheckpointError, ConfigError, UserError
from modernbert.model.average import Mean, Ties, average
from modernbert.model.encoder import Encoder
from modernbert.model.store import fresh, load, save
from support.texts import small_tokenizer
from support.tiny import tiny_config

CONFIG = tiny_config(hidden_size=16, num_attention_heads=2, intermediate_size=8, num_hidden_layers=2, vocab_size=64)


def _models(folder, count, *, spread=0.1, dtype=torch.float32):
    """A base, and models that were moved away from it at random."""
    folders = [folder / f"model-{i}" for i in range(count)]
    generator = torch.Generator().manual_seed(3)
    base = fresh(CONFIG, seed=1)
    save(base.to(dtype), folder / "base")
    for path in folders:
        model = fresh(CONFIG, seed=1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += spread * torch.randn(parameter.shape, generator=generator)
        save(model.to(dtype), path)
    return folder / "base", folders


def _flat(folder):
    tensors = load_file(folder / "model.safetensors")
    return np.concatenate([tensors[name].float().numpy().ravel() for name in sorted(tensors)])


def _rewrite(folder, change):
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def test_the_mean_is_numpys(tmp_path):
    _, folders = _models(tmp_path, 3)
    average(folders, tmp_path / "out")
    truth = np.mean([_flat(folder).astype(np.float64) for folder in folders], axis=0)
    np.testing.assert_array_equal(_flat(tmp_path / "out"), truth.astype(np.float32))


def test_weights_are_shares_of_their_sum(tmp_path):
    _, folders = _models(tmp_path, 3)
    average(folders, tmp_path / "out", Mean(weights=(1.0, 0.0, 3.0)))
    truth = np.average([_flat(folder).astype(np.float64) for folder in folders], axis=0, weights=(1, 0, 3))
    np.testing.assert_allclose(_flat(tmp_path / "out"), truth, rtol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_mean_of_copies_is_the_model_bit_for_bit(tmp_path, dtype):
    _, (folder,) = _models(tmp_path, 1, dtype=dtype)
    average([folder] * 7, tmp_path / "out")
    one, out = load_file(folder / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert {name: tensor.dtype for name, tensor in out.items()} == {name: dtype for name in one}  # noqa: C420
    assert all(torch.equal(tensor, out[name]) for name, tensor in one.items())


def test_half_precision_is_rounded_once_and_not_at_each_model(tmp_path):
    _, folders = _models(tmp_path, 5, dtype=torch.bfloat16)
    average(folders, tmp_path / "out")
    truth = np.mean([_flat(folder).astype(np.float64) for folder in folders], axis=0)
    np.testing.assert_array_equal(_flat(tmp_path / "out"), torch.from_numpy(truth).bfloat16().float().numpy())


def _paper(base, models, density, scale):
    """Trim, elect, merge: algorithm 1 of the paper, with sorting for the trim."""
    base = base.astype(np.float64)
    trimmed = []
    for model in models:
        change = (model - base.astype(np.float32)).astype(np.float64)
        least = np.sort(np.abs(change))[::-1][max(1, round(density * change.size)) - 1]
        trimmed.append(np.where(np.abs(change) >= least, change, 0))
    elected = np.sign(np.sum(trimmed, axis=0))
    merged = np.zeros_like(base)
    for place in range(base.size):
        agreeing = [change[place] for change in trimmed if change[place] and np.sign(change[place]) == elected[place]]
        merged[place] = np.mean(agreeing) if agreeing else 0
    return (base + scale * merged).astype(np.float32)


@pytest.mark.parametrize("density", [1e-9, 0.05, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_ties_is_the_papers(tmp_path, density, count):
    base, folders = _models(tmp_path, count)
    average(folders, tmp_path / "out", Ties(base=base, density=density, scale=0.7))
    truth = _paper(_flat(base), [_flat(folder) for folder in folders], density, 0.7)
    np.testing.assert_allclose(_flat(tmp_path / "out"), truth, rtol=1e-7, atol=1e-9)
    moved = _flat(tmp_path / "out") != _flat(base)
    np.testing.assert_array_equal(moved, truth != _flat(base))
    if count == 1:
        assert abs(moved.mean() - density) < 2 / moved.size


def test_the_largest_changes_are_found_over_all_tensors_together(tmp_path):
    base, (folder,) = _models(tmp_path, 1, spread=0.0)
    _rewrite(folder, lambda tensors: tensors | {"head.norm.weight": tensors["head.norm.weight"] + 5})
    _rewrite(folder, lambda tensors: tensors | {"decoder.bias": tensors["decoder.bias"] - 1e-30})
    share = 16 / _flat(base).size  # the norm's 16 numbers
    average([folder], tmp_path / "out", Ties(base=base, density=share))
    out, was = load_file(tmp_path / "out" / "model.safetensors"), load_file(base / "model.safetensors")
    assert [name for name in was if not torch.equal(out[name], was[name])] == ["head.norm.weight"]


def test_opposite_changes_of_one_size_change_nothing(tmp_path):
    base, (up, down) = _models(tmp_path, 2, spread=0.0)
    _rewrite(up, lambda tensors: tensors | {"decoder.bias": tensors["decoder.bias"] + 0.5})
    _rewrite(down, lambda tensors: tensors | {"decoder.bias": tensors["decoder.bias"] - 0.5})
    average([up, down], tmp_path / "out", Ties(base=base, density=1.0))
    np.testing.assert_array_equal(_flat(tmp_path / "out"), _flat(base))


def test_the_result_is_a_model_with_the_firsts_tokenizer(tmp_path):
    _, folders = _models(tmp_path, 2)
    small_tokenizer().save(folders[0])
    average(folders, tmp_path / "out")
    model = load(tmp_path / "out", dtype=torch.float32)
    assert model.config == CONFIG
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (folders[0] / "tokenizer.json").read_bytes()


def test_shards_are_read(tmp_path):
    _, folders = _models(tmp_path, 2)
    average(folders, tmp_path / "whole")
    tensors = load_file(folders[1] / "model.safetensors")
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, members in parts.items():
        save_file({name: tensors[name] for name in members}, folders[1] / file)
    index = {"weight_map": {name: file for file, members in parts.items() for name in members}}
    (folders[1] / "model.safetensors.index.json").write_text(json.dumps(index))
    (folders[1] / "model.safetensors").unlink()
    average(folders, tmp_path / "out")
    np.testing.assert_array_equal(_flat(tmp_path / "out"), _flat(tmp_path / "whole"))


def _another_config(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"norm_eps": 1e-3}))


UNLIKE = {
    "config": (_another_config, r"differ in norm_eps: found 1e-05 and 0.001, expected the same"),
    "kind": (
        lambda folder: save(fresh(CONFIG, Encoder), folder),
        "are ModernBertForMaskedLM and ModernBertModel: only models of one kind",
    ),
    "name": (
        lambda folder: _rewrite(folder, lambda tensors: tensors | {"stranger": torch.ones(1)}),
        "only one of them has stranger",
    ),
    "shape": (
        lambda folder: _rewrite(folder, lambda tensors: tensors | {"decoder.bias": torch.ones(7)}),
        r"decoder.bias is F32 of shape \(64,\) and F32 of shape \(7,\), expected the same",
    ),
    "dtype": (
        lambda folder: _rewrite(folder, lambda tensors: tensors | {"decoder.bias": torch.ones(64).half()}),
        r"decoder.bias is F32 of shape \(64,\) and F16 of shape \(64,\)",
    ),
    "damage": (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "model.safetensors is damaged"),
    "nothing": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "model.safetensors is missing: fetch the folder again",
    ),
    "not finite": (
        lambda folder: _rewrite(folder, lambda tensors: tensors | {"decoder.bias": torch.full((64,), torch.nan)}),
        "decoder.bias: the average is not finite",
    ),
}


@pytest.mark.parametrize("how", UNLIKE)
def test_models_that_are_not_alike_are_refused_and_nothing_is_written(how, tmp_path):
    _, folders = _models(tmp_path, 2)
    spoil, message = UNLIKE[how]
    spoil(folders[1])
    with pytest.raises(CheckpointError, match=message):
        average(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_base_must_be_alike_too(tmp_path):
    base, folders = _models(tmp_path, 2)
    _another_config(base)
    with pytest.raises(CheckpointError, match=r"model-0 and .*base differ in norm_eps"):
        average(folders, tmp_path / "out", Ties(base=base))


def test_one_model_has_no_mean(tmp_path):
    with pytest.raises(UserError, match="found 1 models to average, expected 2 or more"):
        average([tmp_path], tmp_path / "out")


def test_each_model_has_its_weight(tmp_path):
    with pytest.raises(UserError, match="found 3 weights for 2 models, expected one each"):
        average([tmp_path] * 2, tmp_path / "out", Mean(weights=(1.0, 2.0, 3.0)))


def test_a_taken_name_is_refused(tmp_path):
    _, folders = _models(tmp_path, 2)
    with pytest.raises(UserError, match="is there already, expected a new or an empty folder"):
        average(folders, folders[0])


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (float("inf"), 1.0)])
def test_weights_that_cannot_be_meant_are_refused(weights):
    with pytest.raises(ConfigError, match="expected numbers from 0 up that are not all 0"):
        Mean(weights=weights)


@pytest.mark.parametrize("density", [0.0, 1.1, float("nan")])
def test_a_density_is_a_share(density):
    with pytest.raises(ConfigError, match="expected a share above 0 and up to 1"):
        Ties(base="x", density=density)


def test_a_scale_is_finite():
    with pytest.raises(ConfigError, match="scale: found inf, expected a finite number"):
        Ties(base="x", scale=float("inf"))
