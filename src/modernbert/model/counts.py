"""How many parameters and how many floating-point operations, by formula; tests compare with counting.

A multiplication and an addition are two operations (FLOP). The backward pass costs twice the forward pass.
"""

from collections.abc import Iterable

from modernbert.model.config import ModelConfig


def num_parameters(config: ModelConfig, *, head: bool = True) -> int:
    """Parameters of the encoder, with the masked-language-model head by default; tied weights count once."""
    width, gate, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    norm = width * (2 if config.norm_bias else 1)
    attention = 4 * width**2 + (4 * width if config.attention_bias else 0)
    mlp = 3 * width * gate + (2 * gate + width if config.mlp_bias else 0)
    encoder = config.vocab_size * width + norm + layers * (attention + mlp) + (2 * layers - 1) * norm + norm
    if not head:
        return encoder
    dense = width**2 + (width if config.classifier_bias else 0)
    decoder = (config.vocab_size if config.decoder_bias else 0) + (
        0 if config.tie_word_embeddings else config.vocab_size * width
    )
    return encoder + dense + norm + decoder


def linear_flops_per_token(config: ModelConfig) -> int:
    """FLOP of one token through the linear layers of the encoder, forward: 221 M for base."""
    width, gate = config.hidden_size, config.intermediate_size
    return config.num_hidden_layers * 2 * (4 * width**2 + 3 * width * gate)


def head_flops_per_token(config: ModelConfig) -> int:
    """FLOP of one predicted token through the masked-language-model head, forward."""
    return 2 * config.hidden_size * (config.hidden_size + config.vocab_size)


def attention_flops(config: ModelConfig, lengths: Iterable[int]) -> int:
    """FLOP of q k' and of the weighted values for documents of these lengths, forward, only pairs that see each other."""
    num_global = config.layer_kinds.count("full_attention")
    num_local = config.num_hidden_layers - num_global
    pairs = sum(num_global * length**2 + num_local * pairs_in_window(length, config.window_reach) for length in lengths)
    return 4 * config.hidden_size * pairs


def forward_flops(config: ModelConfig, lengths: Iterable[int], *, num_predicted: int = 0) -> int:
    """FLOP of one forward pass over documents of these lengths, predicting `num_predicted` masked tokens."""
    lengths = list(lengths)
    return (
        sum(lengths) * linear_flops_per_token(config)
        + attention_flops(config, lengths)
        + num_predicted * head_flops_per_token(config)
    )


def pairs_in_window(length: int, reach: int) -> int:
    """Ordered pairs of tokens at most `reach` apart."""
    reach = min(reach, max(0, length - 1))
    return length * (2 * reach + 1) - reach * (reach + 1)
