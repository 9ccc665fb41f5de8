"""Stock classes and their accelerated subclasses: what is swapped, and how it comes back.

An instance is accelerated by changing its class to a subclass of the same name that differs in `forward` alone. Nothing
is written into the instance, so restoring is exact, hooks that others put on it stay, and what is saved is stock.
"""

import copy
import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import SupportsIndex, cast

from torch import nn

from modernbert.core.errors import require
from modernbert.model._hf_fallback import MODELING
from modernbert.model._hf_forward import Forward, encoder_forward, head_forward

ENCODER = "ModernBertModel"
HEADS = (
    "ModernBertForMaskedLM", "ModernBertForSequenceClassification", "ModernBertForTokenClassification",
    "ModernBertForQuestionAnswering",
)  # fmt: skip
"""Heads that read masked columns now and then; the others need nothing but the encoder below them."""


def stock_class(name: str) -> type[nn.Module] | None:
    """A class of transformers' ModernBERT, if its module was ever imported: no model is of it otherwise."""
    return getattr(sys.modules.get(MODELING), name, None)


def stock_forward(kind: type[nn.Module]) -> Forward:
    """The class's forward as its author wrote it, accelerated or not."""
    return getattr(kind.forward, "stock", kind.forward)


def is_fast(kind: type) -> bool:
    """Whether this is a class that `fast_class` made."""
    return "stock_class_of_accelerated" in vars(kind)


def swap(module: nn.Module) -> None:
    """Accelerate one encoder or head, in place."""
    if not is_fast(type(module)):
        module.__class__ = fast_class(type(module))


def swap_back(module: nn.Module) -> None:
    """Undo `swap`."""
    if is_fast(type(module)):
        module.__class__ = vars(type(module))["stock_class_of_accelerated"]
        vars(module).pop("quantized", None)


@cache
def fast_class(stock: type[nn.Module]) -> type[nn.Module]:
    """The accelerated subclass of a stock encoder or head, under the stock name."""
    body = {
        "__module__": stock.__module__,  # what saves a model writes down, or imports, these two
        "__qualname__": stock.__qualname__,
        "__doc__": stock.__doc__,
        "__reduce_ex__": _reduce_as_stock,
        "__deepcopy__": _deepcopy,
        "forward": _fast(stock),
        "stock_class_of_accelerated": stock,
    }
    return type(stock.__name__, (stock,), body)


def patch_classes() -> None:
    """Accelerate every model of this process, made or still to be made."""
    require(MODELING, extra="finetune")
    for kind in _stock_classes():
        if "stock" not in vars(kind.forward):
            kind.forward = _fast(kind)


def unpatch_classes() -> None:
    """Undo `patch_classes`."""
    for kind in _stock_classes():
        kind.forward = stock_forward(kind)


def _stock_classes() -> list[type[nn.Module]]:
    return [kind for name in (ENCODER, *HEADS) if (kind := stock_class(name)) is not None]


def _fast(stock: type[nn.Module]) -> Forward:
    own = stock_forward(stock)
    encoder = stock_class(ENCODER)
    make: Callable[[Forward], Forward] = (
        encoder_forward if encoder is not None and issubclass(stock, encoder) else head_forward
    )
    forward = make(own)
    forward.__signature__ = inspect.signature(own)  # type: ignore[attr-defined]  # sentence-transformers reads it
    forward.stock = own  # type: ignore[attr-defined]
    return forward


def _reduce_as_stock(self: nn.Module, protocol: SupportsIndex) -> tuple[object, ...]:
    """Pickled as the stock class: a file must load where this package is not installed.

    In the words of protocol 0, which name the class; those of later ones check that it is the object's own.
    """
    make, (_, *rest), state = cast("tuple[object, tuple[object, ...], object]", object.__reduce_ex__(self, 0))
    return make, (vars(type(self))["stock_class_of_accelerated"], *rest), state


def _deepcopy(self: nn.Module, memo: dict[int, object]) -> nn.Module:
    """A copy in memory stays accelerated."""
    twin = type(self).__new__(type(self))
    memo[id(self)] = twin
    twin.__setstate__(copy.deepcopy(self.__dict__, memo))
    return twin
