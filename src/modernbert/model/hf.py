"""Somebody's transformers or sentence-transformers object, several times faster, with the same outputs, and back.

What is accelerated is the encoder inside: padding is taken out once, windows are computed as windows, and no L x L mask
is ever built. Everything around it (heads, pooling, losses, Trainer, pipeline) stays who made it.
"""

from typing import TypeVar, overload

from torch import nn

from modernbert.core.errors import UnsupportedError
from modernbert.model._hf_swap import (
    ENCODER,
    HEADS,
    is_fast,
    patch_classes,
    stock_class,
    stock_forward,
    swap,
    swap_back,
    unpatch_classes,
)
from modernbert.model.hf_config import from_object

Anything = TypeVar("Anything")

_TAKEN = "expected a ModernBERT of transformers, or something around one (pipeline, PEFT model, SentenceTransformer, Trainer)"


@overload
def accelerate() -> None: ...
@overload
def accelerate(model: Anything) -> Anything: ...
def accelerate(model: Anything | None = None) -> Anything | None:
    """Make every stock ModernBERT inside `model` run on this package's engine, in place; `restore` undoes it.

    Takes a transformers model with or without a head, a `pipeline`, a `Trainer`, a PEFT model, or any of
    sentence-transformers' models, and returns the same object. Without an argument, every ModernBERT of this process
    is accelerated, those still to be loaded too.

    Outputs at masked positions are zeros, where stock computes values that nobody reads; a call that does read them, or
    asks for attentions, hidden states or anything else that the engine does not give, runs the stock forward, and says
    so once. Two answers differ from stock's on purpose: documents packed into one row do not see each other, and
    a left-padded row is classified by its first token. What is saved is stock's, and loads anywhere.

    Raises:
        UnsupportedError: there is no ModernBERT inside, or one that this package cannot compute; nothing was changed.
    """
    if model is None:
        patch_classes()
        return None
    outer = modules_of(model, "accelerate")
    _refuse_compiled(outer)
    encoders = stock_encoders(outer)
    if not encoders:
        raise UnsupportedError(
            f"accelerate: found {_describe(outer)}, {_TAKEN}: this package runs no other architecture"
        )
    for encoder in encoders:
        _check(encoder)
    _refuse_padding_as_expansion(outer)
    for module in (*encoders, *_heads(outer)):
        swap(module)
    return model


@overload
def restore() -> None: ...
@overload
def restore(model: Anything) -> Anything: ...
def restore(model: Anything | None = None) -> Anything | None:
    """Undo `accelerate` for the same argument: nothing of it stays. Does nothing where nothing was accelerated.

    Raises:
        UnsupportedError: something was built on the accelerated class since, and must be undone first.
    """
    if model is None:
        unpatch_classes()
        return None
    modules = list(modules_of(model, "restore").modules())
    for module in modules:
        if not is_fast(type(module)) and any(map(is_fast, type(module).__mro__)):
            raise UnsupportedError(
                f"restore: found {type(module).__name__}, a class made from an accelerated one since (as FSDP does), "
                f"expected the class that accelerate gave: undo that first"
            )
    for module in modules:
        swap_back(module)
    return model


def modules_of(model: object, verb: str) -> nn.Module:
    """The module itself, or the one that a pipeline or a Trainer holds.

    Raises:
        UnsupportedError: it is nothing of this.
    """
    for found in (model, getattr(model, "model", None)):
        if isinstance(found, nn.Module):
            return found
    raise UnsupportedError(f"{verb}: found {type(model).__name__}, {_TAKEN}")


def stock_encoders(outer: nn.Module) -> list[nn.Module]:
    """Every `ModernBertModel` of transformers inside, accelerated or not."""
    return _inside(outer, ENCODER)


def _inside(outer: nn.Module, name: str) -> list[nn.Module]:
    kind = stock_class(name)
    return [] if kind is None else [module for module in outer.modules() if isinstance(module, kind)]


def _heads(outer: nn.Module) -> list[nn.Module]:
    """Heads whose forward is stock's; one with a forward of its own knows what it reads."""
    found = []
    for name in HEADS:
        stock = stock_forward(stock_class(name) or nn.Module)
        found += [head for head in _inside(outer, name) if stock_forward(type(head)) is stock]
    return found


def _check(encoder: nn.Module) -> None:
    """Refuse what could not be computed, or where the swap would not be noticed."""
    kind = type(encoder)
    if stock_forward(kind) is not stock_forward(stock_class(ENCODER) or kind):
        raise UnsupportedError(
            f"accelerate: found {kind.__name__}, a {ENCODER} with a forward of its own, expected transformers' forward: "
            "accelerate the model inside it, if it calls one"
        )
    if "forward" in vars(encoder):
        raise UnsupportedError(
            f"accelerate: found a {ENCODER} whose forward was replaced by something else, expected transformers' own: "
            "accelerate first, and wrap it then"
        )
    from_object(encoder.config)


def _refuse_compiled(outer: nn.Module) -> None:
    for module in outer.modules():
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise UnsupportedError(
                f"accelerate: found {type(module).__name__} that torch.compile made of a model, expected the model: "
                "compiled code does not run the accelerated forward, so take one or the other"
            )


def _refuse_padding_as_expansion(outer: nn.Module) -> None:
    """Query expansion by masked [PAD] tokens: what is read could not be told from what is not."""
    for module in outer.modules():
        expansion = getattr(module, "query_expansion", None)
        if not isinstance(expansion, dict) or expansion.get("attend") or expansion.get("token") is None:
            continue
        if expansion["token"] == getattr(getattr(module, "tokenizer", None), "pad_token", None):
            raise UnsupportedError(
                f"accelerate: found query expansion by {expansion['token']!r}, the padding itself, with attend=False, "
                "expected another token, such as '[MASK]', or attend=True: outputs of padding are not computed"
            )


def _describe(outer: nn.Module) -> str:
    """The transformers models inside, or whatever it is."""
    names = sorted({type(module).__name__ for module in outer.modules() if hasattr(module, "config_class")})
    return " and ".join(names) or type(outer).__name__
