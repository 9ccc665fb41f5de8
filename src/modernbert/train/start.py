"""The model a run begins with: fresh, a model that exists, or one tiled from a smaller model."""

from dataclasses import replace
from pathlib import Path

import torch

from modernbert.core.errors import CheckpointError, ConfigError
from modernbert.core.seeds import Seeds
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.grow import grow
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh, load
from modernbert.train.checkpoint import is_checkpoint, load_weights, read_config, read_progress
from modernbert.train.config import Continue, Fresh, Recipe


def starting_model(recipe: Recipe, vocabulary: Vocabulary) -> MaskedLM:
    """The recipe's model with its first weights, in float32 on the CPU; the same for the same seed.

    Raises:
        CheckpointError: the model to start from is not there, or has another vocabulary.
        ConfigError: the model to start from does not fit the recipe's.
    """
    config = with_vocabulary(SIZES[recipe.model] if isinstance(recipe.model, str) else recipe.model, vocabulary)
    start = recipe.start
    if isinstance(start, Fresh):
        return fresh(config, MaskedLM, seed=Seeds(recipe.seed).for_("weights"))
    found = read_model(start.path)
    if found.config.vocab_size != vocabulary.size:
        raise CheckpointError(
            f"start.path: {start.path} has a vocabulary of {found.config.vocab_size:,}, the shards one of "
            f"{vocabulary.size:,}: make the shards anew with that model's tokenizer"
        )
    if isinstance(start, Continue):
        _check_same_shape(found.config, config, start.path)
        return found
    return grow(found, config)


def read_model(path: str | Path) -> MaskedLM:
    """A masked language model in float32: from a checkpoint of a run, a folder in Hugging Face's layout, or a Hub id."""
    if not is_checkpoint(Path(path)):
        return load(path, MaskedLM, dtype=torch.float32)
    read_progress(Path(path))  # says what is wrong with a damaged one
    model = MaskedLM(read_config(Path(path)))
    load_weights(Path(path), model)
    return model


def with_vocabulary(config: ModelConfig, vocabulary: Vocabulary) -> ModelConfig:
    """The shape with the ids of the shards' tokenizer."""
    return replace(
        config,
        vocab_size=vocabulary.size,
        pad_token_id=vocabulary.pad_id,
        bos_token_id=vocabulary.cls_id,
        eos_token_id=vocabulary.sep_id,
        cls_token_id=vocabulary.cls_id,
        sep_token_id=vocabulary.sep_id,
    )


def _check_same_shape(found: ModelConfig, wanted: ModelConfig, path: str) -> None:
    for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads"):
        if getattr(found, name) != getattr(wanted, name):
            raise ConfigError(
                f"model: its {name} is {getattr(wanted, name)}, but {path} has {getattr(found, name)}: "
                "name the size that the weights have"
            )
