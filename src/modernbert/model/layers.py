"""The weights of an encoder's parts, under the checkpoint's names; what is done with them is `encode`'s.

Stock transformers modules have the same names, so they serve as well.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from modernbert.model.config import ModelConfig


class Embeddings(nn.Module):
    """Token embeddings, normalised."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        shape = (config.vocab_size, config.hidden_size)
        # On the meta device there is nothing to draw, and to try imports the compiler, which takes seconds.
        weight = torch.empty(shape) if torch.get_default_device().type == "meta" else None
        self.tok_embeddings = nn.Embedding(*shape, padding_idx=config.pad_token_id, _weight=weight)
        self.norm = layer_norm(config)
        self.drop = nn.Dropout(config.embedding_dropout)


class Layer(nn.Module):
    """Pre-norm attention and gated feed-forward; the first layer's input is already normalised."""

    def __init__(self, config: ModelConfig, *, is_first: bool) -> None:
        super().__init__()
        self.attn_norm = nn.Identity() if is_first else layer_norm(config)
        self.attn = Attention(config)
        self.mlp_norm = layer_norm(config)
        self.mlp = FeedForward(config)


class Attention(nn.Module):
    """Weights of one attention block: queries, keys and values in one matrix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.attention_bias)
        self.Wo = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)
        self.out_drop = nn.Dropout(config.attention_dropout)


class FeedForward(nn.Module):
    """Weights of one gated feed-forward block: value and gate in one matrix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.Wi = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=config.mlp_bias)
        self.drop = nn.Dropout(config.mlp_dropout)
        self.Wo = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.mlp_bias)


def layer_norm(config: ModelConfig) -> nn.LayerNorm:
    """LayerNorm as ModernBERT has it: a scale, no bias."""
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)


@runtime_checkable
class LayerModules(Protocol):
    """A layer, ours or stock's."""

    attn_norm: nn.LayerNorm | nn.Identity
    attn: Attention
    mlp_norm: nn.LayerNorm
    mlp: FeedForward
    training: bool


@runtime_checkable
class EncoderModules(Protocol):
    """What `encode` needs: the names that our modules and stock ones share."""

    embeddings: Embeddings
    layers: list[LayerModules]
    final_norm: nn.LayerNorm
