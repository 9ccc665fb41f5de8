"""What holds for any batch: lists, padding on either side, holes, empty documents."""

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.ops.packed import Packed
from support.tiny import padded

law = settings(deadline=None, max_examples=100)
batches = st.lists(st.lists(st.integers(0, 1000), max_size=9), min_size=1, max_size=6)


@st.composite
def masks(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(0, 9))
    row = st.lists(st.booleans(), min_size=columns, max_size=columns)
    return torch.tensor(draw(st.lists(row, min_size=rows, max_size=rows)), dtype=torch.bool).view(rows, columns)


def numbered(mask):
    """Every place of a padded batch holds another id."""
    return torch.arange(mask.numel()).view(mask.shape)


def check(packed):
    """What every batch promises, however it was made."""
    assert packed.offsets[0] == 0
    assert all(start <= end for start, end in pairwise(packed.offsets))
    assert packed.num_tokens == len(packed.ids) == len(packed.positions) == sum(packed.lengths)
    assert packed.num_documents == len(packed.lengths)
    assert packed.longest == max(packed.lengths)
    parts = [part.tolist() for part in packed.split(packed.positions)]
    assert all(part[0] == 0 for part in parts if part)
    assert all(before < after for part in parts for before, after in pairwise(part))
    assert packed.widest == max((part[-1] for part in parts if part), default=0)
    assert packed.has_holes == any(part != list(range(len(part))) for part in parts)
    assert packed.documents.tolist() == [n for n, length in enumerate(packed.lengths) for _ in range(length)]
    assert packed.offsets_on_device.tolist() == list(packed.offsets)


@given(batches)
@law
def test_lists_packed_and_split_are_the_lists_again(documents):
    packed = Packed.from_lists(documents)
    check(packed)
    assert [part.tolist() for part in packed.split(packed.ids)] == documents
    assert not packed.has_holes


@given(masks())
@law
def test_a_padded_batch_packed_and_padded_is_the_batch_again(mask):
    ids = numbered(mask)
    packed = Packed.from_padded(ids, mask)
    check(packed)
    assert torch.equal(packed.to_padded(packed.ids, fill=-1), ids.where(mask, -1))
    assert torch.equal(packed.to_padded(torch.ones(packed.num_tokens)), mask.float())
    assert [part.tolist() for part in packed.split(packed.ids)] == [
        ids[row][mask[row]].tolist() for row in range(len(ids))
    ]


@given(masks())
@law
def test_distances_between_tokens_are_distances_between_columns(mask):
    columns = torch.arange(mask.shape[1]).expand(mask.shape)
    packed = Packed.from_padded(numbered(mask), mask)
    for row, part in enumerate(packed.split(packed.positions)):
        real = columns[row][mask[row]]
        assert torch.equal(part, real - real[:1])


@given(batches)
@law
def test_padding_on_either_side_gives_the_layout_of_the_lists(documents):
    packed = Packed.from_lists(documents)
    for side in ("left", "right"):
        same = Packed.from_padded(*padded(documents, side))
        check(same)
        assert torch.equal(same.ids, packed.ids)
        assert torch.equal(same.positions, packed.positions)
        assert (same.offsets, same.widest, same.has_holes) == (packed.offsets, packed.widest, packed.has_holes)


@given(batches)
@law
def test_lists_are_padded_on_the_right(documents):
    packed = Packed.from_lists(documents)
    ids, mask = padded(documents)
    assert torch.equal(packed.to_padded(packed.ids), ids)
    assert torch.equal(packed.to_padded(torch.ones(packed.num_tokens)), mask.float())


@given(batches)
@law
def test_other_tokens_change_nothing_else(documents):
    packed = Packed.from_lists(documents)
    other = packed.with_ids(packed.ids + 1)
    check(other)
    assert torch.equal(other.positions, packed.positions)
    assert [part.tolist() for part in other.split(other.ids)] == [
        [id_ + 1 for id_ in document] for document in documents
    ]
