"""When the CPU kernels can run a whole encoder, and why not: a model is computed in PyTorch unless nothing would be lost."""

from typing import cast

import torch
from torch import nn

from modernbert.model.config import ModelConfig
from modernbert.model.layers import EncoderModules
from modernbert.model.precision import best_precision
from modernbert.ops.native.library import library
from modernbert.ops.native.library import why_not as no_library
from modernbert.ops.packed import Packed

_TAKEN = (torch.float32, torch.bfloat16, torch.float16)
"""What weights come in."""

OTHER_SIZES = "a layer has another size than the config says"


def why_not(encoder: EncoderModules, config: ModelConfig, packed: Packed) -> str | None:
    """Why PyTorch has to run this encoder on this batch, or nothing when the kernels can."""
    if packed.device.type != "cpu":
        return f"the batch is on {packed.device.type}"
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None or _is_watched():
        return "the calls are being traced or counted"
    if problem := no_library():
        return problem
    if packed.has_holes:
        return "a document has holes"
    return _shape_problem(config) or _module_problem(encoder, config)


def why_never(encoder: EncoderModules, config: ModelConfig) -> str | None:
    """The same for any batch on the CPU, without what passes: gradients, hooks, dropout, autocast."""
    if problem := no_library():
        return problem
    if problem := _shape_problem(config) or _module_problem(encoder, config, lasting=True):
        return problem
    return None if has_sizes_of(config, encoder) else OTHER_SIZES


def has_sizes_of(config: ModelConfig, encoder: EncoderModules) -> bool:
    """Whether the weights are as large as the config says; PyTorch does not mind."""
    width, gate = config.hidden_size, config.intermediate_size
    return all(
        (layer.attn.Wqkv.weight.shape, layer.attn.Wo.weight.shape) == ((3 * width, width), (width, width))
        and (layer.mlp.Wi.weight.shape, layer.mlp.Wo.weight.shape) == ((2 * gate, width), (width, gate))
        for layer in encoder.layers
    )


def is_quantized(encoder: EncoderModules) -> bool:
    """Whether `quantize` marked it."""
    return encoder.__dict__.get("quantized") is True  # a stock module may lack it


def leaves(encoder: EncoderModules) -> list[nn.Module]:
    """Every module that `encode` would call."""
    inside = _parts(cast(nn.Module, encoder))
    embeddings = _parts(inside["embeddings"])
    found = [embeddings[name] for name in ("tok_embeddings", "norm", "drop")]
    for layer in _parts(inside["layers"]).values():
        parts = _parts(layer)
        attention, feed_forward = _parts(parts["attn"]), _parts(parts["mlp"])
        found += (parts["attn_norm"], attention["Wqkv"], attention["Wo"], attention["out_drop"])
        found += (parts["mlp_norm"], feed_forward["Wi"], feed_forward["drop"], feed_forward["Wo"])
    found.append(inside["final_norm"])
    return found


def _shape_problem(config: ModelConfig) -> str | None:
    kernels = library()
    assert kernels is not None, "why_not looked"
    if not kernels.takes_head_size(config.head_dim):
        return f"heads have {config.head_dim} numbers, and the kernels take {kernels.head_sizes}"
    if config.hidden_size % kernels.panel or 2 * config.intermediate_size % kernels.panel:
        return f"width {config.hidden_size} or gate {config.intermediate_size} does not fill panels of {kernels.panel}"
    if config.hidden_activation != "gelu":
        return f"the activation is {config.hidden_activation}, and the kernels have the exact gelu"
    return None


def _module_problem(encoder: EncoderModules, config: ModelConfig, *, lasting: bool = False) -> str | None:
    """Runs at every call, so it reads modules' dictionaries: asking a module for an attribute takes a microsecond."""
    dtype = encoder.embeddings.tok_embeddings.weight.dtype
    if dtype not in _TAKEN:
        return f"weights are {str(dtype).removeprefix('torch.')}, and the kernels take float32, bfloat16 or float16"
    if not lasting and not is_quantized(encoder) and _torch_is_faster(dtype):
        return f"PyTorch is the faster one in {str(dtype).removeprefix('torch.')} here"
    if not lasting and (passing := _passing_problem(encoder, config)):
        return passing
    needs_grad = torch.is_grad_enabled() and not lasting
    for module in leaves(encoder):
        inside = module.__dict__
        if not lasting and (inside["_forward_hooks"] or inside["_forward_pre_hooks"] or "forward" in inside):
            return f"a {type(module).__name__} has a hook"
        kind = type(module)
        if kind is nn.Dropout:
            if inside["training"] and inside["p"] and not lasting:
                return "dropout is on"
        elif kind is nn.Linear or kind is nn.LayerNorm or kind is nn.Embedding:
            weight = inside["_parameters"].get("weight")
            if type(weight) is not nn.Parameter or not weight.is_cpu or weight.dtype != dtype:
                return f"a {kind.__name__} has a weight of another type than the rest"
            if inside["_parameters"].get("bias") is not None:
                return f"a {kind.__name__} has a bias"
            if needs_grad and weight.requires_grad:
                return "gradients are on"
        elif kind is not nn.Identity:
            return f"a {kind.__name__} is not a plain layer"
    return None


def _torch_is_faster(dtype: torch.dtype) -> bool:
    """In a bfloat16 that this CPU multiplies, unless the kernels do so too. One that it would emulate becomes float32."""
    if dtype == torch.float32 or dtype != best_precision().dtype:
        return False
    kernels = library()
    able = "amx" if torch.cpu.get_capabilities().get("amx_bf16") else "avx512bf16"
    return kernels is None or kernels.variant != able


def _passing_problem(encoder: EncoderModules, config: ModelConfig) -> str | None:
    if torch.is_autocast_enabled("cpu") and best_precision().dtype != torch.float32:
        return "autocast is on"
    if nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks:
        return "every module has a hook"
    if config.attention_dropout and any(layer.training for layer in encoder.layers):
        return "attention dropout is on"
    return None


def _is_watched() -> bool:
    """A mode of torch, such as a counter of FLOPs or fake tensors, wants to see every operation."""
    return torch._C._len_torch_dispatch_stack() > 0 or torch._C._len_torch_function_stack() > 0


def _parts(module: nn.Module) -> dict[str, nn.Module]:
    return cast("dict[str, nn.Module]", module._modules)
