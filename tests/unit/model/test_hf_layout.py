import pytest
import torch

from modernbert.model._hf_layout import CannotLayOut, lay_out
from modernbert.ops.packed import Packed

IDS = torch.arange(1, 9)[None]


def _said(packed):
    return packed.lengths, packed.positions.tolist(), packed.ids.tolist(), packed.has_holes, packed.padded_shape


def test_without_positions_it_is_the_padded_batch():
    ids, mask = torch.tensor([[1, 2, 0], [0, 3, 4]]), torch.tensor([[1, 1, 0], [0, 1, 1]])
    assert _said(lay_out(ids, mask, None, None)) == _said(Packed.from_padded(ids, mask))


@pytest.mark.parametrize("shape", [(1, 4), (2, 4)])
@pytest.mark.parametrize("mask", [None, [[1, 1, 0, 1], [0, 1, 1, 1]], [[0, 0, 0, 0], [1, 1, 1, 1]]])
def test_positions_that_count_the_columns_change_nothing(shape, mask):
    ids = torch.arange(8).reshape(2, 4)
    mask = None if mask is None else torch.tensor(mask)
    found = lay_out(ids, mask, torch.arange(4).expand(shape), None)
    expected = Packed.from_padded(ids, mask)
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.positions.tolist() == expected.positions.tolist()
    assert found.lengths == tuple(filter(None, expected.lengths))
    assert (found.widest, found.has_holes, found.padded_shape) == (expected.widest, expected.has_holes, (2, 4))
    values = torch.rand(found.num_tokens, 3)
    assert torch.equal(found.to_padded(values), expected.to_padded(values))


def test_positions_from_the_first_real_token_on_are_those_of_left_padding():
    positions = torch.tensor([[1, 1, 1, 0, 1, 2, 3, 4]])  # as generation writes them: 1 on padding
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1]])
    assert _said(lay_out(IDS, mask, positions, None))[:3] == ((5,), [0, 1, 2, 3, 4], [4, 5, 6, 7, 8])


def test_every_restart_at_zero_is_a_document():
    found = lay_out(IDS, None, torch.tensor([[0, 1, 2, 0, 0, 1, 2, 3]]), None)
    assert _said(found) == ((3, 1, 4), [0, 1, 2, 0, 0, 1, 2, 3], IDS[0].tolist(), False, (1, 8))
    assert found.widest == 3


def test_documents_may_be_padded_and_have_holes():
    mask = torch.tensor([[1, 0, 1, 1, 1, 1, 0, 0]])
    found = lay_out(IDS, mask, torch.tensor([[0, 1, 2, 0, 1, 2, 0, 0]]), None)
    assert _said(found) == ((2, 3), [0, 2, 0, 1, 2], [1, 3, 4, 5, 6], True, (1, 8))


def test_offsets_say_where_documents_start_and_what_is_none():
    found = lay_out(IDS, None, None, torch.tensor([0, 3, 3, 7], dtype=torch.int32))
    assert _said(found)[:3] == ((3, 4), [0, 1, 2, 0, 1, 2, 3], [1, 2, 3, 4, 5, 6, 7])


def test_offsets_and_positions_that_agree():
    positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4]])
    assert lay_out(IDS, None, positions, torch.tensor([0, 3, 8])).lengths == (3, 5)


@pytest.mark.parametrize("offsets", [[3, 8], [0, 5, 3, 8], [0, 9], [[0, 8]], [0]])
def test_offsets_that_are_none_are_refused(offsets):
    with pytest.raises(CannotLayOut, match="its cu_seq_lens are not the rising offsets of one row"):
        lay_out(IDS, None, None, torch.tensor(offsets))


def test_offsets_of_several_rows_are_refused():
    with pytest.raises(CannotLayOut, match="of one row"):
        lay_out(IDS.reshape(2, 4), None, None, torch.tensor([0, 4, 8]))


@pytest.mark.parametrize("positions", [[0, 2, 4, 6, 8, 10, 12, 14], [0, 1, 2, 3, 1, 2, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0]])
def test_other_positions_are_refused(positions):
    with pytest.raises(CannotLayOut, match="its position_ids neither count the tokens nor start again at 0"):
        lay_out(IDS, None, torch.tensor([positions]), None)


def test_positions_that_restart_inside_of_a_document_by_offsets_are_refused():
    with pytest.raises(CannotLayOut, match="nor start again at 0"):
        lay_out(IDS, None, torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]]), torch.tensor([0, 8]))


@pytest.mark.parametrize("shape", [(8,), (1, 7), (3, 8), (1, 1, 8)])
def test_positions_of_another_shape_are_refused(shape):
    with pytest.raises(CannotLayOut, match="its position_ids have another shape than its input_ids"):
        lay_out(IDS, None, torch.zeros(shape, dtype=torch.int64), None)
