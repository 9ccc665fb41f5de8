"""The forwards that accelerated modules have: padded rows in, `encode` over the packed stream, padded rows out.

An output at a masked position is zero, where stock computes something that nobody should read. Three callers do read
it, and get stock's own: a loss over all columns (question answering), labels at masked positions, and query expansion
(ColBERT), which masks tokens other than padding.

Shapes:  B rows   L columns   T real tokens   D width
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from modernbert.core.log import warn_once
from modernbert.model._hf_fallback import Call, is_simulated, is_traced, why_not
from modernbert.model._hf_layout import CannotLayOut, lay_out
from modernbert.model.encoder import encode
from modernbert.ops.packed import Packed

Forward = Callable[..., object]

UNREAD = -100
"""The label that stock's losses pass over."""


class Wish(NamedTuple):
    """What a head wants of its encoder for one call."""

    reads_pads: bool = False
    """Outputs at masked positions go into the result."""
    first_to_front: bool = False
    """Column 0 is read as the first real token, whatever stands there."""


_NOTHING = Wish()
_wish: ContextVar[Wish] = ContextVar("wish", default=_NOTHING)


def encoder_forward(stock: Forward) -> Forward:
    """The forward of an accelerated `ModernBertModel`."""
    signature = inspect.signature(stock)

    @wraps(stock)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        if is_traced():
            return stock(self, *args, **kwargs)
        call = _read(signature, self, args, kwargs)
        packed = _packed(self, call)
        mask = call.attention_mask
        if packed is None:
            outputs = stock(self, *args, **kwargs)
        else:
            outputs = _outputs(self, call, _padded(packed, encode(self, packed)))
        if _wish.get().first_to_front and isinstance(mask, Tensor):
            return _with_first_in_front(outputs, mask)
        return outputs

    return forward


def head_forward(stock: Forward) -> Forward:
    """The forward of an accelerated head: stock's own, after telling the encoder what the head will read."""
    signature = inspect.signature(stock)

    @wraps(stock)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        if is_traced():
            return stock(self, *args, **kwargs)
        given = signature.bind_partial(self, *args, **kwargs).arguments
        with _wishing(Wish(reads_pads=_reads_pads(given), first_to_front=_pools_a_pad(self, given))):
            return stock(self, *args, **kwargs)

    return forward


def _read(signature: inspect.Signature, model: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> Call:
    given = dict(signature.bind_partial(model, *args, **kwargs).arguments)
    by_kind = {parameter.kind: name for name, parameter in signature.parameters.items()}
    more = cast(dict[str, object], given.pop(by_kind.get(inspect.Parameter.VAR_KEYWORD, ""), {}))
    given.pop(next(iter(signature.parameters)))
    named = {name: given.pop(name, None) for name in ("input_ids", "attention_mask", "position_ids", "inputs_embeds")}
    return Call(**named, more={**given, **more})  # type: ignore[arg-type]


def _packed(model: nn.Module, call: Call) -> Packed | None:
    """The stream to encode, or nothing where the stock forward runs; said once a reason."""
    ids = call.input_ids
    if ids is None and call.inputs_embeds is None:
        return None
    if ids is not None and (is_simulated(ids) or ids.ndim != 2 or not ids.numel()):
        return None
    reason = why_not(model, call) or _what_is_read_of_pads(model, call)
    if reason is None:
        try:
            packed = _lay_out(model, call)
            return packed if packed.num_tokens else None
        except CannotLayOut as problem:
            reason = str(problem)
    warn_once(f"accelerate {reason}", f"accelerate: a call runs transformers' own forward, because {reason}")
    return None


def _lay_out(model: nn.Module, call: Call) -> Packed:
    ids, mask = cast(Tensor, call.input_ids), cast("Tensor | None", call.attention_mask)
    starts, keys = (cast("Tensor | None", call.more.get(f"cu_seq_lens_{side}")) for side in "qk")
    if starts is not None and keys is not None and not torch.equal(starts, keys):
        raise CannotLayOut("its cu_seq_lens_q and cu_seq_lens_k differ")
    packed = lay_out(ids, None if mask is None else mask.to(ids.device), call.position_ids, starts)
    is_stock_wrong = starts is None or "flash" not in str(getattr(model.config, "_attn_implementation", None))
    if packed.num_documents > len(ids) and is_stock_wrong:
        warn_once(
            "accelerate keeps documents apart",
            "accelerate: documents packed into one row are kept apart; transformers' own forward would let them see "
            "each other, so its outputs differ",
        )
    return packed


def _what_is_read_of_pads(model: nn.Module, call: Call) -> str | None:
    """Why outputs at masked positions matter in this call, or nothing."""
    mask, ids = call.attention_mask, cast(Tensor, call.input_ids)
    if not isinstance(mask, Tensor):
        return None
    is_masked = mask.to(ids.device) == 0
    if _wish.get().reads_pads and bool(is_masked.any()):
        return "its loss reads masked positions"
    padding = getattr(model.config, "pad_token_id", None)
    if bool((is_masked & (ids != (-1 if padding is None else padding))).any()):
        return (
            f"masked positions hold other tokens than the config's pad_token_id ({padding}), so somebody may read them"
            " (ColBERT's query expansion does); if they are padding, put its id there"
        )
    return None


def _padded(packed: Packed, hidden_TD: Tensor) -> Tensor:
    rows, columns = cast("tuple[int, int]", packed.padded_shape)
    if packed.num_tokens == rows * columns:
        return hidden_TD.unflatten(0, (rows, columns))
    return packed.to_padded(hidden_TD)


def _outputs(model: nn.Module, call: Call, hidden_BLD: Tensor) -> object:
    from transformers.modeling_outputs import BaseModelOutput

    said = call.more.get("return_dict")
    as_dict = getattr(model.config, "return_dict", True) if said is None else said
    return BaseModelOutput(last_hidden_state=hidden_BLD) if as_dict else (hidden_BLD,)  # type: ignore[arg-type]


def _with_first_in_front(outputs: object, mask: Tensor) -> object:
    """The same outputs, with each row's first real token in column 0 as well."""
    hidden_BLD = cast(Tensor, outputs[0])  # type: ignore[index]
    first_B = mask.to(hidden_BLD.device).ne(0).to(torch.int8).argmax(1)
    front_B1D = hidden_BLD[torch.arange(len(first_B), device=first_B.device), first_B].unsqueeze(1)
    moved_BLD = torch.cat((front_B1D, hidden_BLD[:, 1:]), dim=1)
    if isinstance(outputs, tuple):  # transformers 5.0 hands a head's return_dict on
        return (moved_BLD, *outputs[1:])
    outputs.last_hidden_state = moved_BLD  # type: ignore[attr-defined]
    return outputs


def _reads_pads(given: dict[str, object]) -> bool:
    """Whether the loss of this call reads masked columns: a softmax over all of them, or labels where no token is."""
    if given.get("start_positions") is not None and given.get("end_positions") is not None:
        return True
    labels, mask = given.get("labels"), given.get("attention_mask")
    if not (isinstance(labels, Tensor) and isinstance(mask, Tensor)) or labels.shape != mask.shape:
        return False
    return bool(((mask.to(labels.device) == 0) & (labels != UNREAD)).any())


def _pools_a_pad(head: nn.Module, given: dict[str, object]) -> bool:
    """Whether stock would classify by column 0 where that is a pad: "cls" pooling of left-padded rows."""
    mask = given.get("attention_mask")
    is_classifier = "ForSequenceClassification" in type(head).__name__
    if not is_classifier or getattr(head.config, "classifier_pooling", None) != "cls":
        return False
    if not isinstance(mask, Tensor) or mask.ndim != 2 or bool((mask[:, :1] != 0).all()):
        return False
    warn_once(
        "accelerate pools at the first token",
        "accelerate: left-padded rows are classified by their first token; transformers' own forward reads column 0, "
        "which is a pad there, so its outputs differ",
    )
    return True


@contextmanager
def _wishing(wish: Wish) -> Iterator[None]:
    token = _wish.set(wish)
    try:
        yield
    finally:
        _wish.reset(token)
