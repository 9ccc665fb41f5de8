"""The whole encoder on one screen.

`encode` walks over modules by their checkpoint names, so it runs on ours and on stock transformers modules alike,
and every linear layer is *called*, so LoRA, quantised and hooked layers keep working.

Shapes:  T tokens in the packed stream   D width   H heads   K head size   F gate width
"""

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modernbert.model.config import Kind, ModelConfig
from modernbert.model.hf_config import from_object
from modernbert.model.layers import Embeddings, EncoderModules, Layer, LayerModules, layer_norm
from modernbert.model.prepacked import prepacked
from modernbert.ops.attention import Backend, attend, choose
from modernbert.ops.geglu import gated
from modernbert.ops.norm import normed
from modernbert.ops.packed import Packed
from modernbert.ops.rope import Rope
from modernbert.ops.window import Window

Heads = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values, [T, H, K] each."""


def encode(modules: nn.Module, packed: Packed, *, backend: Backend = "auto") -> Float[Tensor, "T D"]:
    """Hidden states after the final norm, one row a token of the stream.

    Args:
        modules: our `Encoder` or a stock `ModernBertModel`.
        packed: the documents; they never see each other.
        backend: which attention runs; "auto" takes the fastest that can.

    Raises:
        ValueError: a token id is outside the vocabulary.
    """
    encoder = cast(EncoderModules, modules)
    config = modules.config if isinstance(modules.config, ModelConfig) else from_object(modules.config)
    _check_ids(packed, config)
    if backend in ("auto", "native") and (ready := prepacked(modules, encoder, config, packed)):
        return ready.encode(packed)
    if _is_worth_rounding(modules, packed) and (rounded := packed.rounded_up()) is not packed:
        return _run(modules, rounded, config, backend)[: packed.num_tokens]
    return _run(modules, packed, config, backend)


def _is_worth_rounding(modules: nn.Module, packed: Packed) -> bool:
    """Only training steps differ in little but T; elsewhere who looks at a layer expects the rows that it put in."""
    is_training = modules.training and torch.is_grad_enabled()
    return is_training and packed.device.type == "cpu" and not torch.compiler.is_compiling()


def _run(modules: nn.Module, packed: Packed, config: ModelConfig, backend: Backend) -> Float[Tensor, "T D"]:
    encoder = cast(EncoderModules, modules)
    ropes = {kind: _rope(config, kind, packed) for kind in sorted(set(config.layer_kinds))}
    windows: dict[Kind, Window] = {
        "full_attention": Window.full(),
        "sliding_attention": Window.both(config.window_reach),
    }
    run = _recomputed if _is_on(modules, "gradient_checkpointing") and modules.training else _layer
    is_in_halves = _is_on(modules, "compiles") and packed.num_tokens > 1 and not torch.compiler.is_compiling()
    halves = _compiled_halves() if is_in_halves else (_heads, _rest)
    x_TD = encoder.embeddings.drop(encoder.embeddings.norm(encoder.embeddings.tok_embeddings(packed.ids)))
    for layer, kind in zip(encoder.layers, config.layer_kinds, strict=True):
        x_TD = run(layer, x_TD, config, packed, ropes[kind], windows[kind], backend, halves)
    return encoder.final_norm(x_TD)


def _layer(
    layer: LayerModules,
    x_TD: Tensor,
    config: ModelConfig,
    packed: Packed,
    rope: Rope,
    window: Window,
    backend: Backend,
    halves: tuple[Callable[..., Heads], Callable[..., Tensor]],
) -> Tensor:
    heads, rest = halves
    dropout = config.attention_dropout if layer.training else 0.0
    return rest(  # nothing here keeps the heads, so that `rest` can let go of them
        layer,
        x_TD,
        attend(*heads(layer, x_TD, config, rope), layout=packed, window=window, backend=backend, dropout=dropout),
        config,
    )


def _recomputed(layer: LayerModules, *arguments: object) -> Tensor:
    """Keep the layer's input only, and compute the rest again in the backward pass."""
    return cast(Tensor, checkpoint(_layer, layer, *arguments, use_reentrant=False))


def _heads(layer: LayerModules, x_TD: Tensor, config: ModelConfig, rope: Rope) -> Heads:
    qkv_TE = layer.attn.Wqkv(normed(layer.attn_norm, x_TD))
    return rope.split(qkv_TE.unflatten(-1, (3, config.num_attention_heads, config.head_dim)))


def _rest(layer: LayerModules, x_TD: Tensor, heads_THK: Tensor, config: ModelConfig) -> Tensor:
    x_TD = x_TD + layer.attn.out_drop(layer.attn.Wo(heads_THK.flatten(1)))
    del heads_THK
    gate_TF = gated(layer.mlp.Wi(normed(layer.mlp_norm, x_TD)), config.hidden_activation)
    return x_TD + layer.mlp.Wo(layer.mlp.drop(gate_TF))


@cache
def _compiled_halves() -> tuple[Callable[..., Heads], Callable[..., Tensor]]:
    """The two halves around attention, which know of tokens only: one compilation serves all layers and all layouts."""
    return torch.compile(_heads, dynamic=True), torch.compile(_rest, dynamic=True)


@cache
def _compiled_whole() -> Callable[..., Tensor]:
    """All of `encode` around a kernel that takes any layout: one graph, which asks Python for little (decision 009)."""
    return torch.compile(encode, dynamic=True)


def _is_on(modules: nn.Module, switch: str) -> bool:
    return getattr(modules, switch, False) is True  # a stock module may lack it


class Encoder(nn.Module):
    """Embeddings, layers and final norm; attribute names are the checkpoint's, so loading is identity."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        """Whether training keeps only each layer's input and computes the rest twice; the name is transformers'."""
        self.compiles = False
        """Whether torch.compile takes all but attention; on a GPU, without gradients, everything in one graph."""
        self.quantized = False
        """Whether the CPU kernels keep the layers' matrices in int8; `quantize` looks whether they can."""
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config, is_first=i == 0) for i in range(config.num_hidden_layers))
        self.final_norm = layer_norm(config)

    def forward(self, packed: Packed, *, backend: Backend = "auto") -> Float[Tensor, "T D"]:
        """See `encode`."""
        run = _compiled_whole() if self._is_one_graph(packed, backend) else encode
        return run(self, packed, backend=backend)

    def _is_one_graph(self, packed: Packed, backend: Backend) -> bool:
        if not self.compiles or self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        dtype = self.final_norm.weight.dtype
        chosen = choose(packed.device, dtype, self.config.head_dim, packed.has_holes) if backend == "auto" else backend
        return chosen == "varlen" and packed.num_tokens > 1


def _rope(config: ModelConfig, kind: Kind, packed: Packed) -> Rope:
    return Rope.at(packed.positions, theta=config.theta(kind), head_size=config.head_dim, longest=packed.widest + 1)


def _check_ids(packed: Packed, config: ModelConfig) -> None:
    if packed.device.type == "cpu" and packed.num_tokens and not torch.compiler.is_compiling():
        smallest, largest = torch.aminmax(packed.ids)  # on a GPU this would wait; there the kernel's own check stops
        if smallest < 0 or largest >= config.vocab_size:
            raise ValueError(
                f"token id {int(smallest if smallest < 0 else largest)} is outside the vocabulary of {config.vocab_size}: "
                "is this the tokenizer the model was trained with?"
            )
