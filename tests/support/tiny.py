"""Small models and random documents, made in memory from a seed; stock twins with the same weights."""

import random
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, Literal

import torch
import transformers
from torch import Tensor, nn
from transformers.masking_utils import eager_mask

from modernbert.model.config import ModelConfig
from modernbert.model.heads import ARCHITECTURES, Model
from modernbert.ops.packed import Packed

BOUNDARIES = (1, 2, 5, 63, 64, 65, 66, 127, 128, 129, 130)
"""Around the window, around twice the window, around a block."""

VOCABULARY = 320
PAD, CLS, SEP = 0, 1, 2

LOUD = 0.08
"""Standard deviation of a twin's weights. At 0.02 (the default of training) attention is nearly uniform, and a rotation
that is a little off drowns in the tolerance; from 0.15 on float32's own rounding does not fit into it."""


def tiny_config(**changes: Any) -> ModelConfig:
    """Four layers (global, two sliding, global) of two heads of 64, unless told otherwise."""
    settings = {
        "vocab_size": VOCABULARY, "hidden_size": 128, "intermediate_size": 96,
        "num_hidden_layers": 4, "num_attention_heads": 2,
        "pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP, "cls_token_id": CLS, "sep_token_id": SEP,
    }  # fmt: skip
    return ModelConfig(**settings | changes)


def random_documents(lengths: Sequence[int], *, seed: int = 0) -> list[list[int]]:
    """One list of token ids for each length; any id, [PAD] too, which is a token like others where it is real."""
    chance = random.Random(seed)
    return [[chance.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def random_heads(packed: Packed, *, heads: int = 2, size: int = 16, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values in float64; scores with a standard deviation of 2, far from uniform attention."""
    generator = torch.Generator().manual_seed(seed)
    shape = (packed.num_tokens, heads, size)
    q, k, v = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(3))
    return 2 * q, k, v


def padded(documents: Sequence[Sequence[int]], side: Literal["left", "right"] = "right") -> tuple[Tensor, Tensor]:
    """What a tokenizer would give: ids and mask, [B, L]."""
    longest = max(map(len, documents))
    ids = torch.full((len(documents), longest), PAD)
    mask = torch.zeros_like(ids)
    for row, document in enumerate(documents):
        start = 0 if side == "right" else longest - len(document)
        ids[row, start : start + len(document)] = torch.tensor(document, dtype=torch.int64)
        mask[row, start : start + len(document)] = 1
    return ids, mask


def stock_config(config: ModelConfig, *, generation: Literal["new", "old"] = "new") -> transformers.ModernBertConfig:
    """The same shape in transformers' words, written here by hand: `model.hf_config` is under test, too."""
    own = {"global_rope_theta", "local_rope_theta", "layer_types", "global_attn_every_n_layers", "labels"}
    settings = {field.name: getattr(config, field.name) for field in fields(config) if field.name not in own}
    if generation == "new":
        settings["layer_types"] = list(config.layer_kinds)
        settings["rope_parameters"] = {
            "full_attention": {"rope_type": "default", "rope_theta": config.global_rope_theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": config.local_rope_theta},
        }
    else:
        settings["global_attn_every_n_layers"] = config.global_attn_every_n_layers
        settings["global_rope_theta"] = config.global_rope_theta
        settings["local_rope_theta"] = config.local_rope_theta
    settings["id2label"] = dict(enumerate(config.labels))
    return transformers.ModernBertConfig(**settings, attn_implementation="eager_float64")


def _eager_float64(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, attention_mask: Tensor | None, scaling: float, **_: Any
) -> tuple[Tensor, Tensor]:
    """Stock's eager attention but for one word: stock takes the softmax in float32 whatever the model's dtype.

    For a float64 model that is not an oracle: float64's smallest number, which hides keys, becomes -inf in float32, and
    one pad that sees nothing makes the whole row NaN.
    """
    scores = torch.matmul(q, k.transpose(2, 3)) * scaling
    weights = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
    return torch.matmul(weights, v).transpose(1, 2), weights


transformers.AttentionInterface.register("eager_float64", _eager_float64)
transformers.AttentionMaskInterface.register("eager_float64", eager_mask)


@lru_cache(maxsize=4)
def stock_twin(
    config: ModelConfig,
    architecture: str = "ModernBertForMaskedLM",
    *,
    loudness: float = LOUD,
    generation: Literal["new", "old"] = "new",
) -> nn.Module:
    """A stock model in float64, evaluation mode: the oracle. Shared between tests: change only a copy.

    Biases and norms are random, too: zeros and ones would hide one that is left out.
    """
    stock = getattr(transformers, architecture)(stock_config(config, generation=generation))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in stock.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            is_scale = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.1 * drawn if is_scale else loudness * drawn)
    return stock.double().eval()


def our_twin(stock: nn.Module, config: ModelConfig, *, dtype: torch.dtype = torch.float32) -> Model:
    """Ours with the stock model's weights, every key on both sides."""
    ours = ARCHITECTURES[type(stock).__name__](config)
    ours.load_state_dict(stock.state_dict(), strict=True)
    return ours.to(dtype).eval()
