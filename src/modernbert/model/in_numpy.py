"""The encoder and its heads in NumPy, in float32: a second writing of `encoder.py` and `heads.py`, for who has a few tokens
and no torch yet, whose import takes longer than all of this.

Documents lie one after the other, as everywhere here, and never see each other. Not for training, and not for large models
or many tokens: there torch is faster, import and all (`infer/instant.py` knows where).

Shapes:  T tokens of all documents   t of one   D width   H heads   K head size   F gate width   N documents   V vocabulary
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise

import numpy as np

from modernbert.model.arrays import Weights
from modernbert.model.config import Activation, Kind, ModelConfig

_QUERIES = 256
"""Of a document that attend together: what they see fits into memory, however long it is."""


def encode(weights: Weights, config: ModelConfig, documents: Sequence[Sequence[int]]) -> np.ndarray:
    """Hidden states after the final norm, [T, D].

    Args:
        documents: ids within the vocabulary; special tokens around them.
    """
    inside = weights.of_encoder
    offsets = list(accumulate(map(len, documents), initial=0))
    positions = np.concatenate([np.arange(len(document)) for document in documents])
    turns = {kind: _angles(config, kind, positions) for kind in set(config.layer_kinds)}
    x_TD = weights.rows(f"{inside}embeddings.tok_embeddings.weight", np.concatenate(list(map(np.asarray, documents))))
    x_TD = _norm(weights, config, f"{inside}embeddings.norm", x_TD)
    for number, kind in enumerate(config.layer_kinds):
        layer = f"{inside}layers.{number}"
        normed_TD = x_TD if number == 0 else _norm(weights, config, f"{layer}.attn_norm", x_TD)
        q_HTK, k_HTK, v_HTK = _heads(_linear(weights, f"{layer}.attn.Wqkv", normed_TD), config, *turns[kind])
        reach = None if kind == "full_attention" else config.window_reach
        seen_TD = np.empty_like(x_TD)
        for start, end in pairwise(offsets):
            own = slice(start, end)
            seen_TD[own] = _attend(q_HTK[:, own], k_HTK[:, own], v_HTK[:, own], reach)
        x_TD = x_TD + _linear(weights, f"{layer}.attn.Wo", seen_TD)
        both_TF = _linear(weights, f"{layer}.mlp.Wi", _norm(weights, config, f"{layer}.mlp_norm", x_TD))
        value_TF, gate_TF = np.split(both_TF, 2, axis=1)
        x_TD += _linear(weights, f"{layer}.mlp.Wo", _ACTIVATIONS[config.hidden_activation](value_TF) * gate_TF)
    return _norm(weights, config, f"{inside}final_norm", x_TD)


def pool(x_TD: np.ndarray, lengths: Sequence[int], how: str) -> np.ndarray:
    """The first token of each document, or the mean over its tokens: [N, D]. Each has one or more."""
    starts = list(accumulate(lengths, initial=0))[:-1]
    if how == "cls":
        return x_TD[starts]
    return np.add.reduceat(x_TD, starts, axis=0) / np.array(lengths, dtype=np.float32)[:, None]


def decode(weights: Weights, config: ModelConfig, x_MD: np.ndarray) -> np.ndarray:
    """Logits over the vocabulary, [M, V], of the states that are predicted from."""
    inside, hidden_MD = weights.of_encoder, _head(weights, config, x_MD)
    table = f"{inside}embeddings.tok_embeddings.weight" if config.tie_word_embeddings else "decoder.weight"
    logits_MV = hidden_MD @ weights.whole(table).T
    return logits_MV + weights.whole("decoder.bias") if "decoder.bias" in weights else logits_MV


def classify(weights: Weights, config: ModelConfig, x: np.ndarray) -> np.ndarray:
    """Logits of the labels, row by row."""
    return _linear(weights, "classifier", _head(weights, config, x))


def _head(weights: Weights, config: ModelConfig, x: np.ndarray) -> np.ndarray:
    return _norm(
        weights, config, "head.norm", _ACTIVATIONS[config.classifier_activation](_linear(weights, "head.dense", x))
    )


def _linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    out = x @ weights.whole(f"{name}.weight").T
    bias = f"{name}.bias"
    return out + weights.whole(bias) if bias in weights else out


def _norm(weights: Weights, config: ModelConfig, name: str, x: np.ndarray) -> np.ndarray:
    away = x - x.mean(-1, keepdims=True)
    away /= np.sqrt(np.square(away).mean(-1, keepdims=True) + np.float32(config.norm_eps))
    away *= weights.whole(f"{name}.weight")
    bias = f"{name}.bias"
    return away + weights.whole(bias) if bias in weights else away


def _heads(
    qkv_TE: np.ndarray, config: ModelConfig, cos: np.ndarray, sin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turned queries, divided by the root of K, turned keys, and values: [H, T, K] each."""
    qkv_T3HK = qkv_TE.reshape(len(qkv_TE), 3, config.num_attention_heads, config.head_dim)
    near, far = np.split(qkv_T3HK[:, :2], 2, axis=-1)
    turned_T2HK = np.concatenate((near * cos - far * sin, far * cos + near * sin), axis=-1)
    turned_T2HK[:, 0] *= np.float32(config.head_dim**-0.5)
    q_HTK, k_HTK = turned_T2HK.transpose(1, 2, 0, 3)
    return q_HTK, k_HTK, qkv_T3HK[:, 2].transpose(1, 0, 2)


def _angles(config: ModelConfig, kind: Kind, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, [T, 1, 1, half], in float32 as the model has learned with them (docs/decisions/003)."""
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    frequencies = np.float32(1) / np.float32(config.theta(kind)) ** exponents
    angles = positions.astype(np.float32)[:, None, None, None] * frequencies
    return np.cos(angles), np.sin(angles)


def _attend(q_HtK: np.ndarray, k_HtK: np.ndarray, v_HtK: np.ndarray, reach: int | None) -> np.ndarray:
    """One document's heads side by side, [t, D]; each query sees `reach` tokens to each side, or all."""
    length = q_HtK.shape[1]
    parts = []
    for start in range(0, length, _QUERIES):
        end = min(start + _QUERIES, length)
        low, high = (0, length) if reach is None else (max(0, start - reach), min(length, end + reach))
        scores_Hqk = q_HtK[:, start:end] @ k_HtK[:, low:high].transpose(0, 2, 1)
        if reach is not None and max(end - low, high - start) - 1 > reach:
            ahead = np.arange(low, high) - np.arange(start, end)[:, None]
            scores_Hqk += np.where(np.abs(ahead) > reach, np.float32(-np.inf), np.float32(0))
        scores_Hqk -= scores_Hqk.max(-1, keepdims=True)
        np.exp(scores_Hqk, out=scores_Hqk)
        seen_HqK = scores_Hqk @ v_HtK[:, low:high]
        seen_HqK /= scores_Hqk.sum(-1, keepdims=True)
        parts.append(seen_HqK.transpose(1, 0, 2).reshape(end - start, -1))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _gelu(x: np.ndarray) -> np.ndarray:
    """x * Phi(x), with erfc as the CPU kernels have it (ops/native/activations.h), since NumPy has none."""
    y = np.abs(x) * np.float32(0.5**0.5)
    t = 1 / (np.float32(0.32) * y + 1)
    tail = np.full_like(t, _ERFC[0])
    for coefficient in _ERFC[1:]:
        tail *= t
        tail += np.float32(coefficient)
    tail *= t
    tail *= np.exp(-y * y)
    tail *= np.float32(0.5)  # Phi(-|x|)
    return x * np.where(x > 0, 1 - tail, tail)


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    """Its approximation by a hyperbolic tangent (Hendrycks and Gimpel, arXiv 1606.08415)."""
    inner = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (1 + np.tanh(inner))


def _silu(x: np.ndarray) -> np.ndarray:
    return x * (np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * x))  # the sigmoid, without overflow


_ERFC = (
    -1.767009550e-01, 7.018170280e-01, -7.590160039e-01, 7.832748134e-01,
    -1.579976077e-01, 2.610988131e-01, 1.659620795e-01, 1.815618177e-01,
)  # fmt: skip

_ACTIVATIONS: dict[Activation, Callable[[np.ndarray], np.ndarray]] = {
    "gelu": _gelu,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_new": _gelu_tanh,
    "silu": _silu,
    "swish": _silu,
    "relu": partial(np.maximum, np.float32(0)),
}
