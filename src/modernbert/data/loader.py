"""Masked, packed batches for training: a pure function of (documents, seed)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from modernbert.core.seeds import Seeds
from modernbert.data.masking import Masking, mask
from modernbert.data.packing import pack
from modernbert.ops.packed import Packed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskedBatch:
    """Documents with some tokens hidden, and what was there."""

    packed: Packed
    labels: Int[Tensor, "T"]
    """The hidden token where one is to be predicted, -100 elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What masking needs to know of a tokenizer."""

    mask_id: int
    special_ids: frozenset[int]
    """Never hidden: [CLS], [SEP] and the like."""
    num_ordinary: int
    """Ids below this are ordinary tokens, which may replace a hidden one."""


def masked_batches(
    documents: Sequence[Sequence[int]], *, room: int, policy: Masking, vocabulary: Vocabulary, seeds: Seeds
) -> Iterator[MaskedBatch]:
    """Endless: every epoch shuffles the documents anew, packs them into batches of at most `room` tokens, masks anew."""
    epoch = 0
    while True:
        yield from epoch_batches(documents, room=room, policy=policy, vocabulary=vocabulary, seeds=seeds, epoch=epoch)
        epoch += 1


def epoch_batches(
    documents: Sequence[Sequence[int]],
    *,
    room: int,
    policy: Masking,
    vocabulary: Vocabulary,
    seeds: Seeds,
    epoch: int,
) -> Iterator[MaskedBatch]:
    """Every document once, in batches of at most `room` tokens."""
    order = seeds.numpy("order", epoch).permutation(len(documents))
    bins = pack([len(documents[i]) for i in order], room)
    for number, members in enumerate(bins):
        packed = Packed.from_lists([documents[order[i]] for i in members])
        inputs, labels = mask(
            packed.ids.numpy(),
            policy,
            special_ids=vocabulary.special_ids,
            mask_id=vocabulary.mask_id,
            vocabulary=vocabulary.num_ordinary,
            rng=seeds.numpy("mask", epoch, number),
        )
        yield MaskedBatch(packed=packed.with_ids(torch.from_numpy(inputs)), labels=torch.from_numpy(labels))
