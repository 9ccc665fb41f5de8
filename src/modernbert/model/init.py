"""Fresh weights, the way ModernBERT's were drawn (`full_megatron` in the reference trainer).

    input projections   Wqkv, Wi, the prediction head's dense        std
    output projections  attention's and feed-forward's Wo            std / sqrt(2 * layers)
    embeddings                                                       std
    classifiers, and a decoder that is not tied                      hidden_size ** -0.5
    norms 1, biases 0

All normal draws are cut at `initializer_cutoff_factor` standard deviations. Each block adds its output to the stream,
2 * layers times: dividing by the square root keeps the sum's variance (GPT-2, section 2.3).

transformers 5.23 draws two of them differently: the head's dense and the decoder with the output projections' std.
"""

import math

import torch
from torch import Tensor, nn

from modernbert.model.config import ModelConfig


@torch.no_grad()
def initialize(model: nn.Module, config: ModelConfig, *, seed: int) -> None:
    """Draw every weight of one of our models anew; the same seed gives the same weights on any device."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.copy_(draw(name, parameter.shape, config, generator))


def draw(name: str, shape: torch.Size, config: ModelConfig, generator: torch.Generator) -> Tensor:
    """One fresh tensor in float32 on the CPU, by the rule for its checkpoint name."""
    if name.endswith("bias"):
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.ones(shape)
    std = _std(name, config)
    cut = config.initializer_cutoff_factor * std
    return nn.init.trunc_normal_(torch.empty(shape), 0.0, std, -cut, cut, generator=generator)


def _std(name: str, config: ModelConfig) -> float:
    match name.split(".")[-2]:
        case "Wo":
            return config.initializer_range / math.sqrt(2 * config.num_hidden_layers)
        case "classifier" | "decoder":
            return config.hidden_size**-0.5
        case "Wqkv" | "Wi" | "dense" | "tok_embeddings":
            return config.initializer_range
    raise AssertionError(f"nobody said how {name} is drawn")
