"""What a run begins with: random weights, a model that exists, or one tiled from a smaller one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from modernbert.core.config import read
from modernbert.core.errors import CheckpointError, ConfigError
from modernbert.data.config import Source
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import ModelConfig
from modernbert.model.grow import grow
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh, load, save
from modernbert.train.checkpoint import Checkpoints, Progress
from modernbert.train.config import Recipe, Saving, StableAdamW
from modernbert.train.optimizer import make_optimizer
from modernbert.train.start import read_model, starting_model, with_vocabulary
from modernbert.train.world import World
from support.runs import SMALL, assert_same_weights
from support.texts import small_tokenizer

VOCABULARY = Vocabulary.of(small_tokenizer())


def recipe(*changes):
    stages = {"one": {"tokens": 10, "batch": {"size": 10}}}
    return read(Recipe, {"model": SMALL, "stages": stages}, overrides=changes)


def model(seed=4, **changes):
    return fresh(with_vocabulary(ModelConfig(**SMALL | changes), VOCABULARY), MaskedLM, seed=seed)


@pytest.fixture
def folder(tmp_path):
    save(model(), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", Saving(), World())
    given = model()
    optimizer = make_optimizer(given, StableAdamW())
    checkpoints.save(given, optimizer, given.config, Progress(step=3, stage="one"), stays=True)
    checkpoints.close()
    return checkpoints.newest()


def test_fresh_weights_follow_from_the_seed_and_carry_the_tokenizers_ids():
    made = starting_model(recipe(), VOCABULARY)
    assert_same_weights(made.state_dict(), starting_model(recipe(), VOCABULARY).state_dict())
    other = starting_model(recipe("seed=18"), VOCABULARY)
    assert not torch.equal(made.decoder.weight, other.decoder.weight)
    config = made.config
    assert (config.vocab_size, config.pad_token_id, config.cls_token_id, config.sep_token_id) == (448, 438, 436, 437)
    assert (config.bos_token_id, config.eos_token_id) == (436, 437)


@pytest.mark.parametrize("source", ["folder", "checkpoint"])
def test_a_model_that_exists_goes_on_in_float32(source, request):
    path = request.getfixturevalue(source)
    made = starting_model(recipe("start.kind=continue", f"start.path={path}"), VOCABULARY)
    assert_same_weights(made.state_dict(), model().state_dict())
    assert {tensor.dtype for tensor in made.state_dict().values()} == {torch.float32}


def test_a_named_size_gets_its_shape():
    stages = {"one": {"tokens": 10, "batch": {"size": 10}}}
    made = starting_model(read(Recipe, {"model": "tiny", "stages": stages}), VOCABULARY)
    assert (made.config.hidden_size, made.config.vocab_size) == (128, 448)


@pytest.mark.parametrize("source", ["folder", "checkpoint"])
def test_a_larger_model_is_tiled_from_a_smaller_one(source, request):
    changes = ("model.hidden_size=64", "model.num_attention_heads=4", "model.num_hidden_layers=3")
    path = request.getfixturevalue(source)
    made = starting_model(recipe(*changes, "start.kind=grow", f"start.path={path}"), VOCABULARY)
    assert made.config.hidden_size == 64
    assert_same_weights(made.state_dict(), grow(model(), made.config).state_dict())


def test_copies_are_told_apart_by_noise_from_the_seed(folder):
    changes = ("model.hidden_size=64", "model.num_attention_heads=4", "start.kind=grow", f"start.path={folder}")
    plain = starting_model(recipe(*changes), VOCABULARY)
    noisy = starting_model(recipe(*changes, "start.noise=0.5"), VOCABULARY)
    assert_same_weights(
        noisy.state_dict(), starting_model(recipe(*changes, "start.noise=0.5"), VOCABULARY).state_dict()
    )
    differences = noisy.model.layers[0].attn.Wo.weight - plain.model.layers[0].attn.Wo.weight
    assert float(differences.detach().std()) == pytest.approx(0.5 * plain.config.initializer_range, rel=0.1)
    torch.testing.assert_close(noisy.model.final_norm.weight, plain.model.final_norm.weight)


def test_counted_embeddings_are_as_large_as_drawn_ones_and_tokens_never_seen_keep_theirs():
    rng = np.random.default_rng(0)
    text = [rng.integers(0, 400, 50).tolist() for _ in range(200)]
    sources = {"text": (Source(path=Path()), InMemory(text, VOCABULARY))}
    drawn = starting_model(recipe(), VOCABULARY)
    made = starting_model(recipe("start.embeddings=counted"), VOCABULARY, sources)
    rows, before = (
        made.model.embeddings.tok_embeddings.weight.detach(),
        drawn.model.embeddings.tok_embeddings.weight.detach(),
    )
    torch.testing.assert_close(rows[:400].pow(2).mean(1).sqrt(), torch.full((400,), made.config.initializer_range))
    assert torch.equal(rows[400:], before[400:])
    shares = made.decoder.bias.detach().softmax(0)
    counts = np.bincount(np.concatenate(text), minlength=400)
    np.testing.assert_allclose(shares[:400], counts / counts.sum(), rtol=1e-3)
    assert torch.equal(made.model.layers[0].attn.Wqkv.weight, drawn.model.layers[0].attn.Wqkv.weight)


def test_a_model_of_another_vocabulary_is_refused(tmp_path):
    save(fresh(ModelConfig(**SMALL, vocab_size=50_368), MaskedLM), tmp_path / "other")
    with pytest.raises(
        CheckpointError, match="has a vocabulary of 50,368, the shards one of 448: make the shards anew"
    ):
        starting_model(recipe("start.kind=continue", f"start.path={tmp_path / 'other'}"), VOCABULARY)


def test_a_model_of_another_shape_is_refused(folder):
    with pytest.raises(
        ConfigError, match=r"model: its num_hidden_layers is 3, but .* has 2: name the size that the weights"
    ):
        starting_model(recipe("model.num_hidden_layers=3", "start.kind=continue", f"start.path={folder}"), VOCABULARY)


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere"):
        starting_model(recipe("start.kind=continue", f"start.path={tmp_path / 'nowhere'}"), VOCABULARY)


def test_a_damaged_checkpoint_is_told_before_its_weights_are_read(checkpoint):
    shutil.copy(checkpoint / "config.json", checkpoint / "__0_0.distcp")
    with pytest.raises(CheckpointError, match="is damaged: found"):
        read_model(checkpoint)


def test_reading_a_model_is_reading_its_folder(folder):
    assert_same_weights(read_model(folder).state_dict(), load(folder, MaskedLM, dtype=torch.float32).state_dict())
