"""A batch as one flat stream of tokens with document boundaries; padding exists only at the outer doors.

Shapes:  T tokens in the stream   N documents   B rows, L columns of a padded batch
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, pairwise
from typing import TypeVar, cast

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

Table = TypeVar("Table")

_SMALLEST_STEP = 16
"""Between two sizes of `rounded_up`; a power of 2."""
_FILLER = 32
"""Tokens of a document that only fills up, at most: its attention is nearly nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """Documents one after the other, without padding.

    Build one with `from_lists` or `from_padded`: they check once, and nothing below asks again.
    """

    ids: Int[Tensor, "T"]
    """Token ids, int64."""
    offsets: tuple[int, ...]
    """N + 1 rising numbers: document n is `ids[offsets[n]:offsets[n + 1]]`. Plain integers, so planning never waits for a device."""
    positions: Int[Tensor, "T"]
    """Place of each token in its document, from 0; with holes in a padded row, the column counted from the first real token."""
    widest: int
    """Largest distance between two tokens of one document: longest - 1, or more where a padded row had holes."""
    has_holes: bool = False
    """Some document skips positions, so distance in the stream is not distance in the document."""
    padded_shape: tuple[int, int] | None = None
    """(B, L) of the padded batch this came from; absent for a batch that came from lists."""
    places: Int[Tensor, "T"] | None = None
    """Where each token sits in that padded batch, flattened; absent like `padded_shape`."""
    memo: dict[object, object] = field(default_factory=dict, repr=False)
    """What `derived` has made so far."""

    @classmethod
    def from_lists(cls, documents: Sequence[Sequence[int]], *, device: torch.device | str = "cpu") -> "Packed":
        """Pack lists of token ids. Empty documents are allowed and keep their place.

        Raises:
            ValueError: there is no document, or an id is not a whole number of 0 or more.
        """
        if len(documents) == 0:
            raise ValueError(
                "there is no document to pack: found an empty list, expected one list of token ids or more"
            )
        lengths = [len(document) for document in documents]
        tokens = list(chain.from_iterable(documents))
        try:
            ids = torch.tensor(tokens) if tokens else torch.empty(0, dtype=torch.int64)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(f"documents are lists of token ids (whole numbers): {error}") from None
        if ids.ndim != 1:
            raise ValueError(f"documents are lists of token ids (whole numbers): found {tokens[0]!r} among them")
        ids = _whole(ids)
        positions = _count_up(torch.tensor(lengths))
        packed = cls(ids=ids, offsets=_offsets(lengths), positions=positions, widest=max(0, max(lengths) - 1))
        return packed.to(device)

    @classmethod
    def from_padded(cls, ids: Int[Tensor, "B L"], mask: Shaped[Tensor, "B L"] | None = None) -> "Packed":
        """Pack a padded batch: right or left padding, or holes anywhere, as the mask says (1 or True = a real token).

        Distances across a hole count the columns, as in transformers.
        """
        if ids.ndim != 2 or (mask is not None and mask.shape != ids.shape):
            found = f"ids {tuple(ids.shape)}" + ("" if mask is None else f" and mask {tuple(mask.shape)}")
            raise ValueError(f"a padded batch is rows by columns with a mask of the same shape: found {found}")
        if len(ids) == 0:
            raise ValueError(f"there is no document to pack: found ids {tuple(ids.shape)}, expected one row or more")
        real_BL = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.to(torch.bool)
        places = real_BL.flatten().nonzero().squeeze(1)
        lengths = real_BL.sum(1).tolist()
        columns, rows = places % max(1, ids.shape[1]), places // max(1, ids.shape[1])
        first_B = real_BL.to(torch.int8).argmax(1) if ids.shape[1] else real_BL.sum(1)
        positions = columns - first_B[rows]
        packed = cls(
            ids=_whole(ids.flatten()[places]),
            offsets=_offsets(lengths),
            positions=positions,
            widest=int(positions.max()) if positions.numel() else 0,
            has_holes=not torch.equal(positions.cpu(), _count_up(torch.tensor(lengths))),
            padded_shape=(ids.shape[0], ids.shape[1]),
            places=places,
        )
        return _with_tables(packed)

    @property
    def num_documents(self) -> int:
        """How many documents, empty ones included."""
        return len(self.offsets) - 1

    @property
    def num_tokens(self) -> int:
        """T. Asked of the stream, for offsets that were looked at would tie a compiled graph to this layout."""
        return self.ids.shape[0]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each document."""
        return self.derived("lengths", lambda: tuple(end - start for start, end in pairwise(self.offsets)))

    @property
    def longest(self) -> int:
        """Tokens of the longest document."""
        return self.derived("longest", lambda: max(self.lengths))

    @property
    def device(self) -> torch.device:
        """Where the stream lives."""
        return self.ids.device

    @property
    def documents(self) -> Int[Tensor, "T"]:
        """Which document each token belongs to."""

        def number_tokens() -> Tensor:
            return torch.repeat_interleave(torch.tensor(self.lengths), output_size=self.num_tokens).to(self.device)

        return self.derived("documents", number_tokens)

    @property
    def offsets_on_device(self) -> Int[Tensor, "ends"]:
        """`offsets` as int32 beside the stream, as varlen kernels want them."""
        return self.derived("offsets", lambda: torch.tensor(self.offsets, dtype=torch.int32).to(self.device))

    def derived(self, name: object, make: Callable[[], Table]) -> Table:
        """What `make` gives, computed once a batch: tables that follow from the layout, such as masks and plans.

        Never made as inference tensors: a batch that was evaluated first may be trained on next.
        """
        if name not in self.memo:
            with torch.inference_mode(False):
                self.memo[name] = make()
        return cast(Table, self.memo[name])

    def to(self, device: torch.device | str) -> "Packed":
        """The same batch on another device."""
        if torch.device(device) == self.device:
            return self
        places = None if self.places is None else self.places.to(device)
        moved = replace(self, ids=self.ids.to(device), positions=self.positions.to(device), places=places, memo={})
        return _with_tables(moved)

    def rounded_up(self) -> "Packed":
        """The same documents, and behind them as many tokens as make T one of a few sizes: in documents of their own, id 0.

        Of a training step's sizes only T changes from batch to batch. oneDNN compiles its products anew for each size and keeps
        a thousand of them; freed blocks fit no later one. There are 16 sizes between a power of 2 and the next.
        """
        step = max(_SMALLEST_STEP, (1 << max(0, self.num_tokens.bit_length() - 1)) // 16)
        extra = -self.num_tokens % step
        if not extra:
            return self
        layout = self.derived("rounded up", lambda: _filled_up(self, extra))
        return layout.with_ids(torch.cat((self.ids, self.ids.new_zeros(extra))))

    def with_ids(self, ids: Int[Tensor, "T"]) -> "Packed":
        """The same layout with other tokens (masked ones, say); its derived tables are kept."""
        if ids.shape != self.ids.shape:
            raise ValueError(f"the same layout needs as many tokens: found {ids.numel()}, expected {self.num_tokens}")
        return replace(self, ids=ids)

    def split(self, values: Shaped[Tensor, "T ..."]) -> tuple[Tensor, ...]:
        """One view per document of anything that has one row a token."""
        return torch.split(values, list(self.lengths))

    def to_padded(self, values: Shaped[Tensor, "T ..."], *, fill: float | int = 0.0) -> Tensor:
        """Back to rows and columns: [B, L, ...], each value where its token came from, `fill` elsewhere.

        A batch from lists gets one row a document, padded on the right to the longest.
        """
        rows, columns = self.padded_shape or (self.num_documents, self.longest)
        places = self.documents * columns + self.positions if self.places is None else self.places
        padded = values.new_full((rows * columns, *values.shape[1:]), fill)
        return padded.index_copy(0, places, values).unflatten(0, (rows, columns))


def _filled_up(packed: Packed, extra: int) -> Packed:
    lengths = [min(_FILLER, extra - start) for start in range(0, extra, _FILLER)]
    return Packed(
        ids=packed.ids.new_zeros(packed.num_tokens + extra),
        offsets=packed.offsets + tuple(packed.num_tokens + end for end in accumulate(lengths)),
        positions=torch.cat((packed.positions, torch.arange(extra, device=packed.device) % _FILLER)),
        widest=max(packed.widest, lengths[0] - 1),
        has_holes=packed.has_holes,
    )


def _with_tables(packed: Packed) -> Packed:
    """What a GPU's kernels ask for, made now: compiled code that made it would hold for this layout only."""
    if packed.device.type != "cpu":
        _ = packed.offsets_on_device, packed.longest
    return packed


def _offsets(lengths: Sequence[int]) -> tuple[int, ...]:
    return tuple(accumulate(lengths, initial=0))


def _count_up(lengths: Int[Tensor, "N"]) -> Int[Tensor, "T"]:
    """[3, 2] -> [0, 1, 2, 0, 1]."""
    starts = lengths.cumsum(0) - lengths
    return torch.arange(int(lengths.sum())) - torch.repeat_interleave(starts, lengths)


def _whole(ids: Shaped[Tensor, "T"]) -> Int[Tensor, "T"]:
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise ValueError(f"token ids are whole numbers: found {ids.dtype}, which would have been cut silently")
    if ids.numel() and int(ids.min()) < 0:
        raise ValueError(f"token ids are 0 or more: found {int(ids.min())} (labels such as -100 do not belong here)")
    return ids.to(torch.int64)
