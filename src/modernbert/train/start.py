"""The model a run begins with: fresh, a model that exists, or one tiled from a smaller model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from modernbert.core.errors import CheckpointError, ConfigError
from modernbert.core.log import say
from modernbert.core.seeds import Seeds
from modernbert.data.config import Source
from modernbert.data.pieces import Documents
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.grow import grow
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh, load
from modernbert.train.checkpoint import is_checkpoint, load_weights, read_config, read_progress
from modernbert.train.config import Continue, Fresh, Recipe
from modernbert.train.cooccurrence import count


def starting_model(
    recipe: Recipe, vocabulary: Vocabulary, sources: Mapping[str, tuple[Source, Documents]] | None = None
) -> MaskedLM:
    """The recipe's model with its first weights, in float32 on the CPU; the same for the same seed.

    Args:
        sources: the text of the first stage, for a start with counted embeddings.

    Raises:
        CheckpointError: the model to start from is not there, or has another vocabulary.
        ConfigError: the model to start from does not fit the recipe's.
    """
    config = with_vocabulary(SIZES[recipe.model] if isinstance(recipe.model, str) else recipe.model, vocabulary)
    start = recipe.start
    if isinstance(start, Fresh):
        model = fresh(config, MaskedLM, seed=Seeds(recipe.seed).for_("weights"))
        if start.embeddings == "counted":
            _set_embeddings(model, sources or {}, seed=Seeds(recipe.seed).for_("embeddings"))
        return model
    found = read_model(start.path)
    if found.config.vocab_size != vocabulary.size:
        raise CheckpointError(
            f"start.path: {start.path} has a vocabulary of {found.config.vocab_size:,}, the shards one of "
            f"{vocabulary.size:,}: make the shards anew with that model's tokenizer"
        )
    if isinstance(start, Continue):
        _check_same_shape(found.config, config, start.path)
        return found
    grown = grow(found, config, how=start.how)
    if start.noise:
        _tell_copies_apart(grown, start.noise, seed=Seeds(recipe.seed).for_("noise"))
    return grown


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


@torch.no_grad()
def _set_embeddings(model: MaskedLM, sources: Mapping[str, tuple[Source, Documents]], *, seed: int) -> None:
    """Counted embeddings as large as drawn ones would be; tokens that never occurred keep theirs."""
    say("counting which tokens stand near which, for the first embeddings")
    counts = count(sources, model.config.hidden_size, seed=seed)
    embeddings = model.model.embeddings.tok_embeddings.weight
    embeddings.copy_(
        torch.where(counts.occurs[:, None], counts.embeddings * model.config.initializer_range, embeddings)
    )
    if model.decoder.bias is not None:
        logs_V = counts.shares.log()
        model.decoder.bias.copy_(logs_V - logs_V.mean())


@torch.no_grad()
def _tell_copies_apart(model: MaskedLM, noise: float, *, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        if weight.ndim > 1:
            weight += noise * model.config.initializer_range * torch.randn(weight.shape, generator=generator)


def _check_same_shape(found: ModelConfig, wanted: ModelConfig, path: str) -> None:
    for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads"):
        if getattr(found, name) != getattr(wanted, name):
            raise ConfigError(
                f"model: its {name} is {getattr(wanted, name)}, but {path} has {getattr(found, name)}: "
                "name the size that the weights have"
            )
