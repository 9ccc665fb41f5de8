"""A stock call's tensors as one packed stream: padding on either side, holes, and rows that hold several documents.

Several documents in a row are told by `position_ids` that start again at 0, or by `cu_seq_lens_q`, as transformers'
`DataCollatorWithFlattening` writes them.

Shapes:  B rows   L columns   T real tokens
"""

import torch
from torch import Tensor

from modernbert.ops.packed import Packed


class CannotLayOut(Exception):  # noqa: N818 (nobody's mistake: the stock forward runs instead)
    """The call means something that a packed stream cannot say; the message says what."""


def lay_out(ids: Tensor, mask: Tensor | None, position_ids: Tensor | None, cu_seq_lens: Tensor | None) -> Packed:
    """Pack the real tokens of a batch, each document for itself.

    Args:
        ids: [B, L].
        mask: [B, L], not zero where a token is real; none where all are.
        position_ids: [B, L] or [1, L].
        cu_seq_lens: where documents start and the last one ends in a batch of one row.

    Raises:
        CannotLayOut: positions that neither count columns nor start again at 0, or offsets that are none of this row.
    """
    if position_ids is None and cu_seq_lens is None:
        return Packed.from_padded(ids, mask)
    is_real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.to(torch.bool)
    starts = torch.zeros_like(is_real)
    starts[:, 0] = True
    if cu_seq_lens is not None:
        is_real = _cut(starts, is_real, cu_seq_lens)
    places = is_real.flatten().nonzero().squeeze(1)
    if not len(places):
        return Packed.from_padded(ids, is_real)
    number = starts.flatten().cumsum(0)[places]
    if position_ids is not None:
        number = number + _restarts(position_ids, ids, places, number, may_restart=cu_seq_lens is None)
    return _pack(ids, places, number)


def _cut(starts: Tensor, is_real: Tensor, cu_seq_lens: Tensor) -> Tensor:
    """Mark in `starts` what the offsets say; what lies behind the last one is no document's."""
    rows, columns = is_real.shape
    offsets = cu_seq_lens.to(is_real.device, torch.int64)
    end = int(offsets[-1]) if offsets.ndim == 1 and len(offsets) > 1 else -1
    if rows != 1 or not 0 <= end <= columns or int(offsets[0]) != 0 or bool((offsets.diff() < 0).any()):
        raise CannotLayOut("its cu_seq_lens are not the rising offsets of one row")
    starts[0, offsets[offsets < columns]] = True
    return is_real & (torch.arange(columns, device=is_real.device) < end)


def _restarts(position_ids: Tensor, ids: Tensor, places: Tensor, number: Tensor, *, may_restart: bool) -> Tensor:
    """How many times positions have started again before each real token."""
    rows, columns = ids.shape
    if position_ids.ndim != 2 or position_ids.shape[1] != columns or position_ids.shape[0] not in (1, rows):
        raise CannotLayOut("its position_ids have another shape than its input_ids")
    positions = position_ids.to(ids.device).expand(rows, columns).flatten()[places]
    is_same = number.diff() == 0
    breaks = is_same & (positions.diff() != places.diff())
    if bool((breaks & (positions[1:] != 0)).any()) or (not may_restart and bool(breaks.any())):
        raise CannotLayOut("its position_ids neither count the tokens nor start again at 0")
    return torch.cat((number.new_zeros(1), breaks.cumsum(0)))


def _pack(ids: Tensor, places: Tensor, number: Tensor) -> Packed:
    """As `Packed.from_padded`, but for more documents than rows."""
    _, lengths = torch.unique_consecutive(number, return_counts=True)
    ends = lengths.cumsum(0)
    firsts = ends - lengths
    positions = places - places[firsts].repeat_interleave(lengths)
    counted = torch.arange(len(places), device=places.device) - firsts.repeat_interleave(lengths)
    return Packed(
        ids=ids.flatten()[places].to(torch.int64),
        offsets=(0, *ends.tolist()),
        positions=positions,
        widest=int(positions.max()),
        has_holes=not torch.equal(positions, counted),
        padded_shape=(ids.shape[0], ids.shape[1]),
        places=places,
    )
