"""An encoder's matrices in 8 bits, for speed on a CPU: switched on and off; the weights of the model stay as they are.

What is rounded, and what it costs, is in docs/int8.md; `bench.int8` measures it on a model and texts.
"""

from typing import TypeVar, cast

from torch import nn

from modernbert.core.errors import UnsupportedError
from modernbert.model._native_limits import why_never
from modernbert.model.config import ModelConfig
from modernbert.model.encoder import Encoder
from modernbert.model.hf import accelerate, modules_of, stock_encoders
from modernbert.model.hf_config import from_object
from modernbert.model.layers import EncoderModules

Anything = TypeVar("Anything")


def quantize(model: Anything) -> Anything:
    """Make every ModernBERT encoder inside `model` compute with 8-bit matrices, in place; `dequantize` undoes it.

    Takes this package's models, and all that `accelerate` takes, which it does where it was not done; returns the same
    object. Only the layers' matrices are rounded, in a copy for the CPU kernels: what is saved, trained or moved to a GPU
    is what it was. A call that has to run in PyTorch (gradients, hooks, dropout) computes in full precision, and says so
    once a reason.

    Raises:
        UnsupportedError: there is no ModernBERT inside, or one that the CPU kernels cannot run; nothing was changed.
    """
    ours, stock = _encoders(model, "quantize")
    for encoder in (*ours, *stock):
        if problem := _problem(encoder):
            raise UnsupportedError(
                f"quantize: found {type(encoder).__name__}, expected an encoder that the CPU kernels can run in int8: "
                f"{problem}; leave it in float32 or bfloat16"
            )
    if stock:
        accelerate(model)
    for encoder in (*ours, *stock):
        encoder.quantized = True  # type: ignore[assignment]  # a switch, and no tensor
    return model


def dequantize(model: Anything) -> Anything:
    """Undo `quantize`; what it accelerated stays accelerated. Does nothing where nothing was quantized.

    Raises:
        UnsupportedError: there is no ModernBERT inside.
    """
    ours, stock = _encoders(model, "dequantize")
    for encoder in ours:
        encoder.quantized = False
    for encoder in stock:
        vars(encoder).pop("quantized", None)
    return model


def _encoders(model: object, verb: str) -> tuple[list[Encoder], list[nn.Module]]:
    """This package's, and transformers'."""
    outer = modules_of(model, verb)
    ours = [module for module in outer.modules() if isinstance(module, Encoder)]
    stock = stock_encoders(outer)
    if not ours and not stock:
        raise UnsupportedError(
            f"{verb}: found {type(outer).__name__}, expected a ModernBERT or something around one (a task's model, "
            "pipeline, SentenceTransformer, ...): this package runs no other architecture"
        )
    return ours, stock


def _problem(encoder: nn.Module) -> str | None:
    config = encoder.config if isinstance(encoder.config, ModelConfig) else from_object(encoder.config)
    modules = cast(EncoderModules, encoder)
    device = modules.embeddings.tok_embeddings.weight.device.type
    if device != "cpu":
        return f"its weights are on {device}, and int8 is for CPUs"
    try:
        return why_never(modules, config)
    except KeyError as missing:
        return f"it has no {missing} where a ModernBERT has one"
