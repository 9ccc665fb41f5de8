"""A folder's weights for NumPy: float32, whatever they are stored in, and every one of them where the config wants it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from modernbert.model.config import ModelConfig

Shape = tuple[int, ...]

_KINDS = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""What safetensors calls them. NumPy has no bfloat16, which is the upper half of a float32."""


ARCHITECTURES = (
    "ModernBertModel",
    "ModernBertForMaskedLM",
    "ModernBertForSequenceClassification",
    "ModernBertForTokenClassification",
)
"""Those that `in_numpy.py` computes."""


class Weights:
    """By the checkpoint's names. Threads may share it."""

    def __init__(self, stored: dict[str, np.ndarray]) -> None:
        """Begin.

        Args:
            stored: float32, float16, or bfloat16 as the uint16 of its bits.
        """
        self._stored = stored
        self._whole: dict[str, np.ndarray] = {}
        self.of_encoder = "model." if any(name.startswith("model.") for name in stored) else ""
        """What the encoder's names begin with."""

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def whole(self, name: str) -> np.ndarray:
        """A weight in float32."""
        if name not in self._whole:
            self._whole[name] = _widened(self._stored[name])
        return self._whole[name]

    def rows(self, name: str, places: np.ndarray) -> np.ndarray:
        """Some rows of one, without widening the others."""
        return _widened(self._stored[name][places])


def read_weights(folder: Path, config: ModelConfig, architecture: str) -> Weights | None:
    """The weights of a folder in one file; none where this is not plainly such a folder, which `load` will say more of."""
    from safetensors import SafetensorError, deserialize

    path = folder / "model.safetensors"
    if architecture not in ARCHITECTURES or not path.is_file():
        return None
    try:
        found = dict(deserialize(path.read_bytes()))
    except (SafetensorError, OSError):
        return None
    shapes = {name: tuple(tensor["shape"]) for name, tensor in found.items()}
    if shapes != dict(_shapes(config, architecture)) or any(each["dtype"] not in _KINDS for each in found.values()):
        return None
    return Weights(
        {
            name: np.frombuffer(each["data"], dtype=_KINDS[each["dtype"]]).reshape(each["shape"])
            for name, each in found.items()
        }
    )


def _shapes(config: ModelConfig, architecture: str) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of what a folder of this architecture holds; tests compare them with the modules' own."""
    width, gate = config.hidden_size, config.intermediate_size
    inside = "" if architecture == "ModernBertModel" else "model."
    yield f"{inside}embeddings.tok_embeddings.weight", (config.vocab_size, width)
    yield from _vectors(f"{inside}embeddings.norm", width, has_bias=config.norm_bias)
    for number in range(config.num_hidden_layers):
        layer = f"{inside}layers.{number}"
        if number > 0:
            yield from _vectors(f"{layer}.attn_norm", width, has_bias=config.norm_bias)
        yield from _linear(f"{layer}.attn.Wqkv", 3 * width, width, has_bias=config.attention_bias)
        yield from _linear(f"{layer}.attn.Wo", width, width, has_bias=config.attention_bias)
        yield from _vectors(f"{layer}.mlp_norm", width, has_bias=config.norm_bias)
        yield from _linear(f"{layer}.mlp.Wi", 2 * gate, width, has_bias=config.mlp_bias)
        yield from _linear(f"{layer}.mlp.Wo", width, gate, has_bias=config.mlp_bias)
    yield from _vectors(f"{inside}final_norm", width, has_bias=config.norm_bias)
    if architecture == "ModernBertModel":
        return
    yield from _linear("head.dense", width, width, has_bias=config.classifier_bias)
    yield from _vectors("head.norm", width, has_bias=config.norm_bias)
    if architecture != "ModernBertForMaskedLM":
        yield from _linear("classifier", len(config.labels), width, has_bias=True)
        return
    if not config.tie_word_embeddings:
        yield "decoder.weight", (config.vocab_size, width)
    if config.decoder_bias:
        yield "decoder.bias", (config.vocab_size,)


def _linear(name: str, out: int, width: int, *, has_bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (out, width)
    if has_bias:
        yield f"{name}.bias", (out,)


def _vectors(name: str, width: int, *, has_bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    if has_bias:
        yield f"{name}.bias", (width,)


def _widened(stored: np.ndarray) -> np.ndarray:
    if stored.dtype == np.uint16:
        bits = stored.astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
    return stored.astype(np.float32, copy=False)
