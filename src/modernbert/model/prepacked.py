"""The whole encoder in one call of the CPU kernels, from weights laid out for them once.

`encode` comes here by itself when nothing would be lost: plain modules without hooks, no gradients, no dropout, a CPU.
The laid-out copy takes as much memory as the layers' weights, which then need none themselves if they lie in a file. It
is made anew when a weight was changed, whichever way: each call compares storage, version and a few places of every
weight with what was laid out (PEFT merges through `.data`, which leaves the version alone).

Shapes:  T tokens   N rows of a weight   K its columns   D width   F gate width
"""

import ctypes
from threading import Lock
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from modernbert.core.log import warn_once
from modernbert.model._native_limits import OTHER_SIZES, has_sizes_of, is_quantized, leaves, why_not
from modernbert.model.config import Kind, ModelConfig
from modernbert.model.layers import EncoderModules, LayerModules
from modernbert.model.precision import best_precision
from modernbert.ops._native import offsets64
from modernbert.ops.native.library import Library, library
from modernbert.ops.native.pages import let_go
from modernbert.ops.packed import Packed
from modernbert.ops.rope import angles

Numbers = Literal["float32", "bfloat16", "int8"]
_NUMBERS: tuple[Numbers, ...] = ("float32", "bfloat16", "int8")
"""As modernbert.h counts them."""

_made: "WeakKeyDictionary[nn.Module, Prepacked]" = WeakKeyDictionary()
_lock = Lock()


def prepacked(modules: nn.Module, encoder: EncoderModules, config: ModelConfig, packed: Packed) -> "Prepacked | None":
    """The encoder ready for the kernels, or nothing where PyTorch has to run it; `why_not` says why."""
    if reason := why_not(encoder, config, packed):
        return _left_to_torch(encoder, reason)
    kernels = library()
    assert kernels is not None, "why_not looked"
    with _lock:
        ready, numbers = _made.get(modules), _numbers(encoder)
        if ready is None or (ready.numbers, ready.config) != (numbers, config) or not ready.is_current(encoder):
            if not has_sizes_of(config, encoder):  # a layer was pruned, say, which PyTorch does not mind
                return _left_to_torch(encoder, OTHER_SIZES)
            ready = _made[modules] = Prepacked(encoder, config, kernels, numbers)
    return ready


def _left_to_torch(encoder: EncoderModules, reason: str) -> None:
    """PyTorch knows no int8 here: whoever asked for it is told, once a reason, that a call did without."""
    if is_quantized(encoder) and not torch.compiler.is_compiling():
        warn_once(f"int8 {reason}", f"int8: a call computes in the weights' own precision, because {reason}")


def _numbers(encoder: EncoderModules) -> Numbers:
    if is_quantized(encoder):
        return "int8"
    is_half = encoder.embeddings.tok_embeddings.weight.dtype == torch.bfloat16
    return "bfloat16" if is_half and best_precision().dtype == torch.bfloat16 else "float32"


class _CWeight(ctypes.Structure):
    _fields_ = (("numbers", ctypes.c_void_p), ("worth", ctypes.c_void_p))


class _CLayer(ctypes.Structure):
    _fields_ = (
        ("attn_norm", ctypes.c_void_p),
        ("wqkv", _CWeight),
        ("wo", _CWeight),
        ("mlp_norm", ctypes.c_void_p),
        ("wi", _CWeight),
        ("mlp_wo", _CWeight),
        ("is_global", ctypes.c_int64),
    )


class _CEncoder(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("numbers", "num_layers", "width", "heads", "gate", "reach")),
        ("eps", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("embeddings", "embeddings_norm", "final_norm")),
        *((name, ctypes.c_void_p) for name in ("global_cos", "global_sin", "local_cos", "local_sin", "layers")),
    )


class Prepacked:
    """One encoder's weights in the kernels' layout."""

    def __init__(self, encoder: EncoderModules, config: ModelConfig, kernels: Library, numbers: Numbers) -> None:
        self.numbers: Numbers = numbers
        """What the weights of matrices are kept in; the rest is float32."""
        self._kernels = kernels
        self.config = config
        self._held: list[Tensor] = []
        """What the structures below point to."""
        self._dtype = encoder.embeddings.tok_embeddings.weight.dtype
        width, gate = config.hidden_size, config.intermediate_size
        rotated = torch.arange(2 * width).unflatten(0, (-1, 2, config.head_dim // 2))  # heads of queries, then of keys
        self._paired_qkv = torch.cat((*map(self._paired, rotated), torch.arange(2 * width, 3 * width)))
        self._paired_gates = self._paired(torch.arange(2 * gate).unflatten(0, (2, -1)))
        self._layers = (_CLayer * config.num_hidden_layers)()
        for number, (layer, kind) in enumerate(zip(encoder.layers, config.layer_kinds, strict=True)):
            self._layers[number] = self._layer(layer, is_global=kind == "full_attention")
            let_go(_matrices(layer))
        self._encoder = _CEncoder(
            numbers=_NUMBERS.index(numbers),
            num_layers=config.num_hidden_layers,
            width=config.hidden_size,
            heads=config.num_attention_heads,
            gate=config.intermediate_size,
            reach=config.window_reach,
            eps=config.norm_eps,
            embeddings=self._plain(encoder.embeddings.tok_embeddings.weight),
            embeddings_norm=self._plain(encoder.embeddings.norm.weight),
            final_norm=self._plain(encoder.final_norm.weight),
            layers=ctypes.addressof(self._layers),
        )
        self._see(encoder)

    def encode(self, packed: Packed) -> Float[Tensor, "T D"]:
        """See `model.encoder.encode`."""
        config, c = self.config, _CEncoder.from_buffer_copy(self._encoder)
        tables: list[Tensor] = []
        names: dict[Kind, str] = {"full_attention": "global", "sliding_attention": "local"}
        for kind, name in names.items():
            cos, sin = angles(theta=config.theta(kind), head_size=config.head_dim, longest=packed.widest + 1)
            setattr(c, f"{name}_cos", cos.data_ptr())
            setattr(c, f"{name}_sin", sin.data_ptr())
            tables += [cos, sin]
        ids = packed.ids.to(torch.int64).contiguous()  # `with_ids` takes any
        out_TD = torch.empty(packed.num_tokens, config.hidden_size)
        self._kernels.call(
            "encode", c, ids, packed.positions, offsets64(packed), packed.num_documents, torch.get_num_threads(), out_TD
        )  # fmt: skip
        return out_TD.to(self._dtype)

    def is_current(self, encoder: EncoderModules) -> bool:
        """Whether the weights are still those that were laid out."""
        weights = _weights(encoder)
        if len(weights) != len(self._places) or any(
            weight.data_ptr() != place for weight, place in zip(weights, self._places, strict=True)
        ):
            return False
        if _versions(weights) != self._versions:
            return False
        return not self._kernels.call("changed", *self._samples, 0)

    def _see(self, encoder: EncoderModules) -> None:
        weights = _weights(encoder)
        self._places = [weight.data_ptr() for weight in weights]
        self._versions = _versions(weights)
        places = torch.tensor(self._places)
        sizes = torch.tensor([weight.nbytes for weight in weights])
        self._samples = places, sizes, len(weights), torch.zeros(len(weights), 4, dtype=torch.int32)
        self._kernels.call("changed", *self._samples, 1)

    def _layer(self, layer: LayerModules, *, is_global: bool) -> _CLayer:
        return _CLayer(
            attn_norm=None if isinstance(layer.attn_norm, nn.Identity) else self._plain(layer.attn_norm.weight),
            wqkv=self._panels(layer.attn.Wqkv.weight, self._paired_qkv),
            wo=self._panels(layer.attn.Wo.weight),
            mlp_norm=self._plain(layer.mlp_norm.weight),
            wi=self._panels(layer.mlp.Wi.weight, self._paired_gates),
            mlp_wo=self._panels(layer.mlp.Wo.weight),
            is_global=int(is_global),
        )

    def _paired(self, halves: Shaped[Tensor, "2 half"]) -> Shaped[Tensor, "both"]:
        """Columns in the order of panels that hold half a panel of each: what is combined meets in registers."""
        return halves.unflatten(1, (-1, self._kernels.panel // 2)).transpose(0, 1).flatten()

    def _panels(self, weight: Shaped[Tensor, "N K"], order: Tensor | None = None) -> _CWeight:
        with torch.inference_mode(False):
            weight_NK = weight.detach() if order is None else weight.detach()[order]
            match self.numbers:
                case "float32":
                    return _CWeight(self._laid_out(weight_NK.float()), None)
                case "bfloat16":
                    return _CWeight(self._laid_out(weight_NK.bfloat16()), None)
                case "int8":
                    whole_NK, worth_N = rounded(weight_NK)
                    return _CWeight(self._laid_out(whole_NK), self._plain(worth_N))

    def _laid_out(self, weight_NK: Tensor) -> int:
        step = self._kernels.step(_NUMBERS.index(self.numbers))
        panels = weight_NK.unflatten(0, (-1, self._kernels.panel)).unflatten(2, (-1, step)).transpose(1, 2).contiguous()
        self._held.append(panels)
        return panels.data_ptr()

    def _plain(self, weight: Shaped[Tensor, "..."]) -> int:
        with torch.inference_mode(False):
            held = weight.detach().to(torch.float32).contiguous()
        self._held.append(held)
        return held.data_ptr()


def _matrices(layer: LayerModules) -> tuple[Tensor, ...]:
    """What was copied."""
    return layer.attn.Wqkv.weight, layer.attn.Wo.weight, layer.mlp.Wi.weight, layer.mlp.Wo.weight


def rounded(weight: Float[Tensor, "N K"]) -> tuple[Int[Tensor, "N K"], Float[Tensor, "N"]]:
    """Whole numbers from -127 to 127, and what one of them is worth in each row."""
    worth_N = weight.float().abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
    return (weight.float() / worth_N[:, None]).round().to(torch.int8), worth_N


def _weights(encoder: EncoderModules) -> list[Tensor]:
    found = (module._parameters.get("weight") for module in leaves(encoder))
    return [weight for weight in found if weight is not None]


def _versions(weights: list[Tensor]) -> list[int]:
    return [0 if weight.is_inference() else weight._version for weight in weights]
