"""A larger model out of a smaller one: every weight tiled, as ModernBERT-large began (paper, section 2.2.3).

The source lies in the middle of the larger tensor, and the border around it is filled by wrapping around:
new[i] = old[(i - offset) mod old], offset = (new - old) // 2. Queries, keys, values and both halves of the gated
feed-forward are tiled each for itself; layer i takes layer round(i * old layers / new layers), as Gopher's did. Nothing
is rescaled.

Two departures from the reference trainer. Along the heads the offset is rounded down to whole heads: otherwise a new
head would be made of two halves, and its rotary positions of the wrong pairs. For an even number of added heads, as
from base to large, it is the same. And the layer's number stops at the last one; theirs runs past it from 4 to 10.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor

from modernbert.core.errors import ConfigError
from modernbert.core.log import say
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.heads import MaskedLM, Model, build

M = TypeVar("M", bound=Model)

How = Literal["tile", "tile-aligned", "preserve"]
"""tile: as above. tile-aligned: each layer from the nearest of its own kind, global or windowed; the reference's map does
not look, and from base to large 12 layers of 28 take one for the other. preserve: tiled and rescaled so that the larger
model computes what the smaller one did (Net2Net, arXiv 1511.05641): exactly where widths are multiples, nearly elsewhere."""


@torch.no_grad()
def grow(small: M, config: ModelConfig, *, how: How = "tile") -> M:
    """A model of the larger `config` with the weights of `small`, on its device and in its dtype, in evaluation mode.

    Raises:
        ConfigError: the config is not a larger one of the same vocabulary, head size, labels and parts.
    """
    _check(small.config, config)
    large = cast(M, build(type(small), config, on_meta=True))
    old, wanted = _named(small), _named(large)
    layers = layer_map(small.config, config, how=how)
    if lost := sorted({_part(name) for name in old} - {_part(name) for name in wanted}):
        raise ConfigError(
            f"found no {', '.join(lost)} in the larger config, expected it because the smaller model has learnt it: "
            "keep tie_word_embeddings and the biases as they are"
        )
    ways = _ways(small.config, config)
    example = next(iter(old.values()))
    weights = {
        name: _tiled(old[source], name, ways)
        if (source := _source(name, layers, old)) in old
        else _neutral(name, like).to(example)
        for name, like in wanted.items()
    }
    if how == "preserve":
        weights = {name: _rescaled(tensor, name, small.config, config) for name, tensor in weights.items()}
    large.load_state_dict(weights, strict=False, assign=True)
    if isinstance(large, MaskedLM):
        large.tie()
    return large.eval()


def layer_map(small: ModelConfig, large: ModelConfig, *, how: How = "tile") -> tuple[int, ...]:
    """Which old layer each new layer starts from; half-way goes to the even one, as Python rounds.

    >>> layer_map(SIZES["base"], SIZES["large"])[:8]
    (0, 1, 2, 2, 3, 4, 5, 6)

    To preserve what is computed, the old layers come first, in order, and each further one copies the last of its kind.

    Raises:
        ConfigError: kinds are to be kept, and the smaller model has no layer of one of them, or other ones at the start.
    """
    num_old = small.num_hidden_layers
    places = [i * num_old / large.num_hidden_layers for i in range(large.num_hidden_layers)]
    if how == "tile":
        return tuple(min(round(place), num_old - 1) for place in places)
    if missing := set(large.layer_kinds) - set(small.layer_kinds):
        raise ConfigError(
            f"how: the smaller model has no layer of the kind {missing.pop()}, which the larger one wants: "
            f"found {how}, expected tile"
        )
    if how == "preserve":
        if large.layer_kinds[:num_old] != small.layer_kinds:
            raise ConfigError(
                "how: the larger model's first layers are of other kinds than the smaller one's: found preserve, "
                "expected tile or tile-aligned"
            )
        places = [i if i < num_old else num_old - 1 for i in range(large.num_hidden_layers)]
    return tuple(
        min((old for old in range(num_old) if small.layer_kinds[old] == kind), key=lambda old: abs(old - place))
        for place, kind in zip(places, large.layer_kinds, strict=True)
    )


def enlarged(small: ModelConfig, size: str) -> ModelConfig:
    """The config of a named size, with everything but the shape from `small`: vocabulary, thetas, window, length.

    Raises:
        ConfigError: there is no such size, or `small` lists its layers one by one.
    """
    if size not in SIZES:
        raise ConfigError(f"size: found {size!r}, expected one of {', '.join(SIZES)}")
    if small.layer_types is not None:
        raise ConfigError(
            "the smaller model lists the kind of each layer, which says nothing about more layers: "
            "give the whole config instead of a size"
        )
    shape = SIZES[size]
    return replace(
        small,
        num_hidden_layers=shape.num_hidden_layers,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_attention_heads=shape.num_attention_heads,
        initializer_range=shape.initializer_range,
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """How one axis grows: `parts` blocks of `old` numbers each become blocks of `new`, the source `offset` in."""

    old: int
    new: int
    offset: int
    parts: int = 1

    def index(self, device: torch.device) -> Tensor:
        """Which old number each new one copies."""
        of_part = (torch.arange(self.new, device=device) - self.offset) % self.old
        return torch.cat([of_part + part * self.old for part in range(self.parts)])


@dataclass(frozen=True, slots=True)
class _Ways:
    """The axes of an encoder: the stream's width, the heads, the gate."""

    width: _Way
    heads: _Way
    gate: _Way

    def of(self, name: str) -> tuple[_Way | None, _Way | None]:
        """How the output and the input axis of this tensor grow; `None` where an axis keeps its size."""
        match name.split(".")[-3:-1]:
            case [_, "tok_embeddings" | "decoder" | "classifier"] | ["decoder" | "classifier"]:
                return None, self.width
            case [_, "Wqkv"]:
                return replace(self.heads, parts=3), self.width
            case ["attn", "Wo"]:
                return self.width, self.heads
            case [_, "Wi"]:
                return replace(self.gate, parts=2), self.width
            case ["mlp", "Wo"]:
                return self.width, self.gate
        return self.width, self.width  # norms, and the head's dense


def _ways(small: ModelConfig, large: ModelConfig) -> _Ways:
    width = _middle(small.hidden_size, large.hidden_size)
    heads = replace(width, offset=width.offset // large.head_dim * large.head_dim)
    if heads != width:
        say(
            f"grow: an odd number of heads is added ({large.num_attention_heads - small.num_attention_heads}): the source's "
            f"heads start at head {heads.offset // large.head_dim}, half a head before the middle"
        )
    return _Ways(width, heads, _middle(small.intermediate_size, large.intermediate_size))


def _middle(old: int, new: int) -> _Way:
    return _Way(old, new, (new - old) // 2)


def _tiled(tensor: Tensor, name: str, ways: _Ways) -> Tensor:
    """A copy, also where nothing grows: two models must not share a bias."""
    tensor = tensor.clone()
    for axis, way in enumerate(ways.of(name)[: tensor.ndim]):
        if way is not None:
            tensor = tensor.index_select(axis, way.index(tensor.device))
    return tensor


def _rescaled(tensor: Tensor, name: str, small: ModelConfig, large: ModelConfig) -> Tensor:
    """Every input comes as often as the axis has grown, so that each weight takes its share; a further layer adds nothing
    as long as its output projections are 0. Embeddings serve as the decoder, and their own norm undoes the scale."""
    words = name.split(".")
    if words[-2:] == ["Wo", "weight"] and int(words[words.index("layers") + 1]) >= small.num_hidden_layers:
        return torch.zeros_like(tensor)
    if tensor.ndim < 2:
        return tensor
    is_of_gate = words[-3:-1] == ["mlp", "Wo"]
    old, new = (getattr(c, "intermediate_size" if is_of_gate else "hidden_size") for c in (small, large))
    return tensor * (old / new)


def _named(model: Model) -> dict[str, Tensor]:
    """The weights by name; a tied decoder is the embedding's, and is tied again later."""
    is_tied = isinstance(model, MaskedLM) and model.config.tie_word_embeddings
    return {name: tensor for name, tensor in model.state_dict().items() if not (is_tied and name == "decoder.weight")}


def _source(name: str, layers: tuple[int, ...], old: Mapping[str, Tensor]) -> str:
    """The tensor's name in the smaller model; a decoder that is no longer tied starts as the embedding it was tied to."""
    if name == "decoder.weight" and name not in old:
        return "model.embeddings.tok_embeddings.weight"
    words = name.split(".")
    if "layers" in words:
        place = words.index("layers") + 1
        words[place] = str(layers[int(words[place])])
    return ".".join(words)


def _part(name: str) -> str:
    """The name without the layer's number."""
    return ".".join(word for word in name.split(".") if not word.isdigit())


def _neutral(name: str, like: Tensor) -> Tensor:
    """What the smaller model lacks: a bias, or the norm of a layer that stood first there and had none."""
    return torch.zeros(like.shape) if name.endswith("bias") else torch.ones(like.shape)


def _check(small: ModelConfig, large: ModelConfig) -> None:
    if small.vocab_size != large.vocab_size:
        raise ConfigError(
            f"vocab_size: found {large.vocab_size}, expected the smaller model's {small.vocab_size}: "
            "growing keeps the vocabulary"
        )
    if small.head_dim != large.head_dim:
        raise ConfigError(
            f"head size: found {large.head_dim}, expected the smaller model's {small.head_dim}, because heads are copied "
            f"whole: choose hidden_size / num_attention_heads = {small.head_dim}"
        )
    for name in ("num_hidden_layers", "hidden_size", "intermediate_size"):
        if getattr(large, name) < getattr(small, name):
            raise ConfigError(
                f"{name}: found {getattr(large, name)}, expected at least the smaller model's {getattr(small, name)}: "
                "choose a larger config"
            )
    if small.labels != large.labels:
        raise ConfigError(
            f"labels: found {', '.join(large.labels)}, expected the smaller model's {', '.join(small.labels)}: "
            "growing keeps the labels"
        )
