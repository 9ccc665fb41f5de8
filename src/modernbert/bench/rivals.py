"""The models compared: their shapes and settings, as data, and how each is built with random weights.

Speed needs no training, so no weights are downloaded; the settings are those of the published config.json files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from modernbert.core.errors import UserError, require
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import attention_flops, forward_flops, linear_flops_per_token

if TYPE_CHECKING:
    from torch import nn

Size = Literal["base", "large", "tiny"]

MODELS = ("bert", "roberta", "debertav3", "nomic", "gte", "modernbert")
SIZE_NAMES: tuple[Size, ...] = ("base", "large", "tiny")
TINY = "a shape of minutes, for trying the command out; its figures say nothing about the models"
_TINY_VOCAB = 4096

_BUCKETS = 256
"""DeBERTa's relative positions to each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One model at one size."""

    model: str
    size: Size
    label: str
    """As the paper calls it."""
    family: str
    """The class in transformers, without Config or Model."""
    layers: int
    width: int
    gate: int
    """Numbers between the two halves of the feed-forward layer; doubled before a gate."""
    heads: int
    vocab_size: int
    longest: int
    """Tokens of a document that its positions were made for."""
    is_gated: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    """What else its config.json says, where transformers' defaults differ."""
    note: str = ""
    """What a reader of its figures should know."""

    @property
    def key(self) -> str:
        """For file names: bert-base."""
        return f"{self.model}-{self.size}"

    @property
    def is_ours(self) -> bool:
        """Whether this package runs it."""
        return self.model == "modernbert"

    @property
    def config(self) -> ModelConfig:
        """The shape in our words; only of ModernBERT. Beyond 8,192 tokens the rotary base grows with the length."""
        config = replace(SIZES[self.size], max_position_embeddings=self.longest)
        if self.size == "tiny":
            config = replace(config, vocab_size=_TINY_VOCAB, pad_token_id=0)
        stretch = max(1.0, self.longest / 8192) ** (config.head_dim / (config.head_dim - 2))  # NTK-aware scaling
        return replace(config, global_rope_theta=config.global_rope_theta * stretch)

    def flops(self, lengths: Iterable[int]) -> float:
        """Operations that documents of these lengths need, a forward pass, no padding: what is useful of the work."""
        lengths = list(lengths)
        if self.is_ours:
            return forward_flops(self.config, lengths)
        tokens, pairs = sum(lengths), sum(length**2 for length in lengths)
        relative = 8 * _BUCKETS * tokens if self.model == "debertav3" else 0  # content to position and back
        return self.linear_flops * tokens + self.layers * self.width * (4 * pairs + relative)

    def attention_flops(self, lengths: Iterable[int]) -> float:
        """The part of `flops` that grows with the square of the length, where there is no window."""
        lengths = list(lengths)
        if self.is_ours:
            return attention_flops(self.config, lengths)
        return self.flops(lengths) - self.linear_flops * sum(lengths)

    def flops_when_padded(self, places: int, pairs: int) -> float:
        """Operations of `places` tokens and padding, every pair of one document computed, window or not."""
        return self.linear_flops * places + 4 * self.layers * self.width * pairs

    @property
    def linear_flops(self) -> int:
        """Operations of one token in the linear layers."""
        if self.is_ours:
            return linear_flops_per_token(self.config)
        return 2 * self.layers * (4 * self.width**2 + (3 if self.is_gated else 2) * self.width * self.gate)

    @property
    def linear_weights(self) -> int:
        """Numbers in the linear layers: what every batch reads once."""
        return self.linear_flops // 2

    @property
    def numbers_per_token(self) -> int:
        """Numbers that the operators of all layers read and write for a token, each operator for itself."""
        attention = (1 + 3) + 4 + (1 + 1)  # queries, keys and values; attention; output: in units of the width
        doubled = 2 if self.is_gated else 1
        return self.layers * (attention * self.width + 2 * self.width + (doubled + 1) * self.gate)

    @property
    def weights(self) -> int:
        """Numbers of the whole model, near enough to say whether it fits into memory."""
        return self.vocab_size * self.width + self.linear_weights


def rival(model: str, size: str) -> Rival | None:
    """The model at that size; none where it was never published.

    Raises:
        UserError: no such model, or no such size.
    """
    if model not in MODELS:
        raise UserError(f"--models: found {model!r}, expected some of {', '.join(MODELS)}")
    if size not in SIZE_NAMES:
        raise UserError(f"--sizes: found {size!r}, expected some of {', '.join(SIZE_NAMES)}")
    return _RIVALS.get((model, size))


def build(rival: Rival) -> "nn.Module":
    """Stock transformers' model, random weights (always the same), float32, evaluation mode; sdpa where it has it.

    Raises:
        MissingExtraError: transformers is not installed.
    """

    transformers = require("transformers", extra="bench")
    if rival.is_ours:
        from modernbert.model.hf_config import to_mapping

        settings = to_mapping(rival.config, architecture="ModernBertModel", dtype="float32")
    else:
        settings = {
            "hidden_size": rival.width,
            "num_hidden_layers": rival.layers,
            "num_attention_heads": rival.heads,
            "intermediate_size": rival.gate,
            "vocab_size": rival.vocab_size,
            **rival.settings,
        }
    config = getattr(transformers, f"{rival.family}Config")(**settings)
    kind = getattr(transformers, f"{rival.family}Model")
    attention = {"attn_implementation": "sdpa"} if kind._supports_sdpa else {}
    with require("transformers.initialization", extra="bench").no_init_weights():
        model = kind._from_config(config, **attention).eval()
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # its output is not looked at
    _draw(model)
    return model


def _draw(model: "nn.Module") -> None:
    """Matrices N(0, 0.02), which is not quite what each model starts from, and 20 times faster drawn."""
    import torch

    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.device.type == "meta":
                continue  # a model without numbers is built to be counted
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.02, generator=draw)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)


def pad_id(rival: Rival) -> int:
    """The id that fills up a batch."""
    return int(rival.config.pad_token_id or 0) if rival.is_ours else int(rival.settings.get("pad_token_id", 0))  # type: ignore[call-overload]


def _modernbert(size: Size) -> Rival:
    config = SIZES[size]
    return Rival(
        model="modernbert",
        size=size,
        label=f"ModernBERT-{size}",
        family="ModernBert",
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        gate=config.intermediate_size,
        heads=config.num_attention_heads,
        vocab_size=_TINY_VOCAB if size == "tiny" else config.vocab_size,
        longest=8192,
        is_gated=True,
        note=TINY if size == "tiny" else "",
    )


_BERT = Rival(
    model="bert",
    size="base",
    label="BERT-base",
    family="Bert",
    layers=12,
    width=768,
    gate=3072,
    heads=12,
    vocab_size=30_522,
    longest=512,
)
"""Whose layers all others have at this size, but for ModernBERT."""

_BASE = {
    "bert": _BERT,
    "roberta": replace(
        _BERT,
        model="roberta",
        label="RoBERTa-base",
        family="Roberta",
        vocab_size=50_265,
        settings={
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
    ),
    "debertav3": replace(
        _BERT,
        model="debertav3",
        label="DeBERTaV3-base",
        family="DebertaV2",
        vocab_size=128_100,
        settings={
            "type_vocab_size": 0,
            "layer_norm_eps": 1e-7,
            "relative_attention": True,
            "position_buckets": _BUCKETS,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "max_relative_positions": -1,
            "position_biased_input": False,
            "max_position_embeddings": 512,
            "pad_token_id": 0,
        },
        note="transformers has no sdpa for it: plain matrix products",
    ),
    "nomic": replace(
        _BERT,
        model="nomic",
        label="NomicBERT",
        family="NomicBert",
        vocab_size=30_528,
        longest=8192,
        is_gated=True,
        settings={"max_position_embeddings": 8192},
        note="positions raised from 2,048 to 8,192, as the paper has it",
    ),
    "gte": replace(
        _BERT,
        model="gte",
        label="GTE-en-MLM-base",
        family="Gte",
        vocab_size=30_528,
        longest=8192,
        is_gated=True,
        settings={"pad_token_id": 0, "type_vocab_size": 0},
        note="without xFormers: transformers' own class, padded",
    ),
    "modernbert": _modernbert("base"),
}


def _large(base: Rival) -> Rival:
    if base.is_ours:
        return _modernbert("large")
    name = base.label.replace("base", "large")
    return replace(base, size="large", label=name, layers=24, width=1024, gate=4096, heads=16)


def _tiny(base: Rival) -> Rival:
    if base.is_ours:
        return _modernbert("tiny")
    name = f"{base.label.removesuffix('-base')}-tiny"
    return replace(
        base, size="tiny", label=name, vocab_size=_TINY_VOCAB, layers=4, width=128, gate=192, heads=2, note=TINY
    )


_RIVALS: dict[tuple[str, str], Rival] = {
    **{(name, "base"): base for name, base in _BASE.items()},
    **{(name, "large"): _large(base) for name, base in _BASE.items() if name != "nomic"},  # NomicBERT has one size
    **{(name, "tiny"): _tiny(base) for name, base in _BASE.items()},
}
