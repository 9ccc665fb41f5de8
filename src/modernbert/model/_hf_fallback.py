"""Which calls of an accelerated model belong to the stock forward, and why.

Everything `encode` would not do as stock does: return attentions or all hidden states, read masks other than rows by
columns, be traced, show modules to somebody's hook, or run modules that are not stock's.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

MODELING = "transformers.models.modernbert.modeling_modernbert"

_PASSED_OVER = frozenset({
    "return_dict", "output_attentions", "output_hidden_states", "use_cache", "is_causal", "labels", "return_loss",
    "num_items_in_batch", "token_type_ids", "batch_size", "seq_len", "seq_idx",
    "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k",
})  # fmt: skip
"""Arguments that stock reads as we do, or lets pass unread."""

_INERT = "transformers.utils.output_capturing"
"""Its hooks stay on a model for good once hidden states were asked for, and do nothing when they are not."""

_NEUTRAL = ("transformers.", "peft.", "accelerate.", "torch.ao.", "torch.nn.utils.")
"""Whose hooks on a layer that is called do not mind how many dimensions it is called with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The arguments of one call, by name."""

    input_ids: Tensor | None
    attention_mask: object
    position_ids: Tensor | None
    inputs_embeds: Tensor | None
    more: Mapping[str, object]
    """All others."""

    def asks_for(self, name: str, config: object) -> bool:
        """Whether an output is wanted: the call's word, else the config's."""
        said = self.more.get(name)
        return bool(getattr(config, name, False) if said is None else said)


def is_traced() -> bool:
    """Whether somebody records the operations of this call, for whom the stock forward is the one to see.

    Asked first, and in words that torch.compile can follow.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def is_simulated(ids: object) -> bool:
    """Whether the ids hold no numbers to plan by: fake, symbolic, batched by `torch.func`, or on a stream in capture."""
    if type(ids) is not Tensor or ids.device.type == "meta":
        return True
    if ids.device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        return True
    if torch._C._functorch.peek_interpreter_stack() is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return True
    proxies = sys.modules.get("torch.fx.experimental.proxy_tensor")  # who traces with proxies has imported it
    return proxies is not None and proxies.get_proxy_mode() is not None


def why_not(model: nn.Module, call: Call) -> str | None:
    """The sentence's middle: why this call runs the stock forward, or nothing when it need not."""
    config = _config(model)
    for name in ("output_attentions", "output_hidden_states"):
        if call.asks_for(name, config):
            return f"{name} is asked for"
    if call.asks_for("is_causal", config):
        return "is_causal is asked for"
    if call.inputs_embeds is not None:
        return "it is given inputs_embeds"
    for name, value in call.more.items():
        if name not in _PASSED_OVER and value is not None and value is not False:
            return f"it is given {name}, which is not accelerated"
    mask, ids = call.attention_mask, call.input_ids
    if mask is not None and (not isinstance(mask, Tensor) or ids is None or mask.shape != ids.shape):
        return "its attention_mask is not rows by columns, as its input_ids are"
    return _attention_problem(config) or _module_problem(model)


def _attention_problem(config: object) -> str | None:
    name = getattr(config, "_attn_implementation", None)
    if name is None or name in ("sdpa", "eager", "flex_attention") or "flash" in name:
        return None
    return f"its attention implementation {name!r} is not transformers' own"


def _module_problem(model: nn.Module) -> str | None:
    """Something in the model that is not as transformers built it, and that calling its linear layers would miss.

    Runs on every call, so it takes the modules as they lie: some 100 microseconds for a base.
    """
    uncalled = {_child(model, "layers"), model._modules.get("rotary_emb") or model}
    for part, kind in _parts(model):
        uncalled.add(part)
        if type(part) is not kind:
            return f"{_name(model, part)} is {_article(type(part).__name__)}, not stock's"
        if "forward" in part.__dict__:
            return f"the forward of {_name(model, part)} was replaced"
    waiting = list(model._modules.values())
    while waiting:
        module = waiting.pop()
        if module is None:
            continue
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
            for hook in _hooks(module):
                if not _is_harmless(hook, is_called=module not in uncalled):
                    return f"{_name(model, module)} carries a hook ({_title(hook)})"
        if module._modules:
            waiting.extend(module._modules.values())
    return None


def _parts(model: nn.Module) -> Iterator[tuple[nn.Module, type]]:
    """The modules whose work `encode` does itself, with the class they must have; an inner one after its outer one."""
    stock = cast(Any, sys.modules[MODELING])
    layer_class, attention, feed_forward = stock.ModernBertEncoderLayer, stock.ModernBertAttention, stock.ModernBertMLP
    activation = _activation(cast(str, _config(model).hidden_activation))
    yield _child(model, "embeddings"), stock.ModernBertEmbeddings
    for layer in cast("dict[str, nn.Module]", _child(model, "layers")._modules).values():
        yield layer, layer_class
        yield _child(layer, "attn"), attention
        yield (mlp := _child(layer, "mlp")), feed_forward
        yield _child(mlp, "act"), activation


def _child(module: nn.Module, name: str) -> nn.Module:
    return cast(nn.Module, module._modules[name])


def _config(model: nn.Module) -> Any:
    return model.config


def _hooks(module: nn.Module) -> Iterator[Callable[..., object]]:
    for kind in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks):
        yield from kind.values()


def _is_harmless(hook: Callable[..., object], *, is_called: bool) -> bool:
    origin = getattr(hook, "__module__", None) or type(hook).__module__
    return origin == _INERT or (is_called and origin.startswith(_NEUTRAL))


@cache
def _activation(name: str) -> type:
    return type(cast(Any, sys.modules["transformers.activations"]).ACT2FN[name])


def _name(model: nn.Module, wanted: nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)


def _title(hook: Callable[..., object]) -> str:
    return getattr(hook, "__qualname__", type(hook).__qualname__)


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"
