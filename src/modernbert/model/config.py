"""A model's shape, in Hugging Face's config.json names; no torch here, so reading a recipe stays instant."""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["full_attention", "sliding_attention"]
Activation = Literal["gelu", "gelu_pytorch_tanh", "gelu_new", "silu", "swish", "relu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything that decides the computation; the defaults are ModernBERT-base (paper, table 4)."""

    vocab_size: int = 50_368
    """Rows of the embedding, a multiple of 64 for the tensor cores (83 of base's are unused)."""
    hidden_size: int = 768
    intermediate_size: int = 1152
    """Gate width: `Wi` puts out twice this."""
    num_hidden_layers: int = 22
    num_attention_heads: int = 12
    hidden_activation: Activation = "gelu"
    max_position_embeddings: int = 8192
    """Longest document the model was trained for; positions are rotary, so nothing breaks beyond it."""
    global_attn_every_n_layers: int = 3
    """Layer i sees the whole document when i is a multiple of this; the others see a window."""
    layer_types: tuple[Kind, ...] | None = None
    """One kind a layer, for patterns that `global_attn_every_n_layers` cannot say; absent otherwise."""
    local_attention: int = 128
    """Both sides of the window together: 128 means 64 tokens to each side."""
    global_rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    decoder_bias: bool = True
    classifier_bias: bool = False
    classifier_activation: Activation = "gelu"
    classifier_pooling: Literal["cls", "mean"] = "mean"
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    mlp_dropout: float = 0.0
    classifier_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_cutoff_factor: float = 2.0
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 50_283
    """Absent in checkpoints whose tokenizer has no pad; nothing of ours needs one."""
    bos_token_id: int | None = 50_281
    eos_token_id: int | None = 50_282
    cls_token_id: int | None = 50_281
    sep_token_id: int | None = 50_282
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    """What a classification head predicts, in the order of its outputs (`id2label` in config.json)."""
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = None
    """How a sequence classifier's labels are meant; absent until it was fine-tuned."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: found {getattr(self, name)}, expected 1 or more")
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over num_attention_heads {self.num_attention_heads} must give an even "
                "head size, since rotary positions turn pairs: change one of them"
            )
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            raise ValueError(
                f"pad_token_id: found {self.pad_token_id}, expected less than vocab_size {self.vocab_size}: "
                "give the tokenizer's, or none"
            )
        if self.layer_types is not None and len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(
                f"layer_types names {len(self.layer_types)} layers, num_hidden_layers says {self.num_hidden_layers}: "
                "make them agree"
            )
        if self.global_attn_every_n_layers < 1 or self.local_attention < 0 or self.local_attention % 2:
            raise ValueError(
                f"global_attn_every_n_layers (found {self.global_attn_every_n_layers}) is 1 or more, and "
                f"local_attention (found {self.local_attention}) an even number of tokens, half to each side"
            )

    @property
    def head_dim(self) -> int:
        """Numbers of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def layer_kinds(self) -> tuple[Kind, ...]:
        """What each layer sees."""
        if self.layer_types is not None:
            return self.layer_types
        every = self.global_attn_every_n_layers
        return tuple("sliding_attention" if i % every else "full_attention" for i in range(self.num_hidden_layers))

    def theta(self, kind: Kind) -> float:
        """Rotary base of a layer of that kind."""
        return self.global_rope_theta if kind == "full_attention" else self.local_rope_theta

    @property
    def window_reach(self) -> int:
        """Tokens a sliding layer sees to each side."""
        return self.local_attention // 2


def _size(layers: int, hidden: int, intermediate: int, heads: int) -> ModelConfig:
    return ModelConfig(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate, num_attention_heads=heads
    )


SIZES: dict[str, ModelConfig] = {
    # Ours, for demonstrations and tests: minutes on a laptop.
    # The usual 0.02 is for a width of 768; a narrow model drawn so small stays on the unigram plateau for 600k tokens,
    # and at 0.06 has left it after 200k.
    "tiny": replace(_size(4, 128, 192, 2), max_position_embeddings=1024, initializer_range=0.06),
    # Ettin's shapes (arXiv 2507.11412); its 150M and 400M are ModernBERT's base and large.
    "17m": _size(7, 256, 384, 4),
    "32m": _size(10, 384, 576, 6),
    "68m": _size(19, 512, 768, 8),
    # ModernBERT (arXiv 2412.13663, table 4).
    "base": _size(22, 768, 1152, 12),
    "large": _size(28, 1024, 2624, 16),
    # Ettin's 1B.
    "1b": _size(28, 1792, 3840, 28),
}
"""Named sizes, smallest first."""
