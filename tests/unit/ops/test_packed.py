"""The packed batch: both doors in, the door out, and the sentences for what does not fit through."""

import pytest
import torch

from modernbert.ops.packed import Packed
from support.close import assert_exact


def test_lists_become_one_stream():
    packed = Packed.from_lists([[7, 8, 9], [4], [5, 6]])
    assert packed.ids.tolist() == [7, 8, 9, 4, 5, 6]
    assert packed.ids.dtype == packed.positions.dtype == torch.int64
    assert packed.offsets == (0, 3, 4, 6)
    assert packed.positions.tolist() == [0, 1, 2, 0, 0, 1]
    assert packed.documents.tolist() == [0, 0, 0, 1, 2, 2]
    assert packed.offsets_on_device.tolist() == [0, 3, 4, 6]
    assert packed.offsets_on_device.dtype == torch.int32
    assert packed.lengths == (3, 1, 2)
    assert (packed.num_documents, packed.num_tokens, packed.longest, packed.widest) == (3, 6, 3, 2)
    assert not packed.has_holes
    assert packed.padded_shape is packed.places is None
    assert packed.device == torch.device("cpu")


def test_empty_documents_keep_their_place():
    packed = Packed.from_lists([[], [4, 5], [], []])
    assert packed.lengths == (0, 2, 0, 0)
    assert packed.documents.tolist() == [1, 1]
    assert [part.tolist() for part in packed.split(packed.ids)] == [[], [4, 5], [], []]
    assert packed.to_padded(packed.ids).tolist() == [[0, 0], [4, 5], [0, 0], [0, 0]]


def test_a_batch_may_hold_no_token_at_all():
    for packed in (Packed.from_lists([[], []]), Packed.from_padded(torch.ones(2, 3).long(), torch.zeros(2, 3))):
        assert packed.lengths == (0, 0)
        assert (packed.num_tokens, packed.longest, packed.widest, packed.has_holes) == (0, 0, 0, False)
        assert packed.ids.dtype == torch.int64
        assert packed.documents.tolist() == packed.positions.tolist() == []
    assert Packed.from_padded(torch.ones(2, 0).long()).lengths == (0, 0)
    assert Packed.from_lists([[], []]).to_padded(torch.zeros(0, 5)).shape == (2, 0, 5)


def test_numpy_and_torch_documents_are_welcome(unchecked):
    import numpy

    for document in (numpy.array([3, 4], dtype=numpy.int32), torch.tensor([3, 4]), (3, 4), range(3, 5)):
        packed = Packed.from_lists([document, document])
        assert packed.ids.tolist() == [3, 4, 3, 4]
        assert packed.ids.dtype == torch.int64


def test_a_batch_can_be_made_on_another_device():
    assert Packed.from_lists([[1, 2]], device="meta").ids.is_meta


# ---------------------------------------------------------------- few sizes


@pytest.mark.parametrize(
    ("tokens", "size"),
    [(0, 0), (1, 16), (16, 16), (17, 32), (255, 256), (511, 512), (513, 544), (4096, 4096), (4097, 4352), (8191, 8192)],
)
def test_a_rounded_stream_has_one_of_few_sizes_and_its_documents_in_front(tokens, size):
    packed = Packed.from_lists([[3] * (tokens // 2), [4] * (tokens - tokens // 2)])
    rounded = packed.rounded_up()
    assert rounded.num_tokens == rounded.offsets[-1] == len(rounded.positions) == size
    assert rounded.ids.tolist() == packed.ids.tolist() + [0] * (size - tokens)
    assert rounded.offsets[:3] == packed.offsets
    assert_exact(rounded.positions[:tokens], packed.positions)
    assert all(0 < length <= 32 for length in rounded.lengths[2:])
    again = Packed.from_lists([[1] * length for length in rounded.lengths])
    assert_exact(rounded.positions, again.positions)
    assert rounded.widest == again.widest


def test_of_thousands_of_sizes_few_are_left():
    sizes = {Packed.from_lists([[1] * tokens]).rounded_up().num_tokens for tokens in range(3000, 6000, 7)}
    assert len(sizes) <= 24
    assert all(size % 128 == 0 for size in sizes)


def test_other_tokens_of_a_layout_are_rounded_with_their_own_ids():
    packed = Packed.from_padded(torch.tensor([[1, 2, 0], [3, 0, 4]]), torch.tensor([[1, 1, 0], [1, 0, 1]]))
    assert packed.rounded_up().has_holes
    assert packed.rounded_up().ids.tolist() == [1, 2, 3, 4] + [0] * 12
    assert packed.with_ids(torch.tensor([5, 6, 7, 8])).rounded_up().ids.tolist() == [5, 6, 7, 8] + [0] * 12


# ---------------------------------------------------------------- padded batches


def test_right_padding_is_taken_out_and_put_back():
    ids = torch.tensor([[5, 6, 7], [8, 0, 0], [0, 0, 0]])
    packed = Packed.from_padded(ids, torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]]))
    assert packed.ids.tolist() == [5, 6, 7, 8]
    assert packed.lengths == (3, 1, 0)
    assert packed.positions.tolist() == [0, 1, 2, 0]
    assert packed.places.tolist() == [0, 1, 2, 3]
    assert packed.padded_shape == (3, 3)
    assert packed.to_padded(packed.ids).tolist() == ids.tolist()


def test_left_padding_counts_positions_from_the_first_real_token():
    packed = Packed.from_padded(torch.tensor([[0, 0, 5, 6], [1, 2, 3, 4]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]))
    assert packed.positions.tolist() == [0, 1, 0, 1, 2, 3]
    assert packed.widest == 3
    assert not packed.has_holes
    assert packed.to_padded(packed.ids, fill=-1).tolist() == [[-1, -1, 5, 6], [1, 2, 3, 4]]


def test_holes_keep_their_distance():
    packed = Packed.from_padded(torch.tensor([[0, 5, 0, 0, 6]]), torch.tensor([[0, 1, 0, 0, 1]]))
    assert packed.positions.tolist() == [0, 3]
    assert (packed.widest, packed.longest, packed.has_holes) == (3, 2, True)


def test_a_hole_in_a_short_row_is_seen_beside_a_full_row():
    ids = torch.arange(10).view(2, 5)
    assert Packed.from_padded(ids, torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1]])).has_holes
    assert not Packed.from_padded(ids, torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 1, 0]])).has_holes


def test_without_a_mask_every_token_is_real():
    packed = Packed.from_padded(torch.tensor([[5, 6], [0, 8]], dtype=torch.int32))
    assert packed.lengths == (2, 2)
    assert packed.ids.tolist() == [5, 6, 0, 8]
    assert packed.ids.dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.int64, torch.float32])
def test_a_mask_of_any_dtype_says_the_same(dtype):
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]]).to(dtype)
    assert Packed.from_padded(torch.ones(2, 3).long(), mask).lengths == (2, 1)


# ---------------------------------------------------------------- the way back


def test_values_go_back_where_their_tokens_came_from():
    values = torch.arange(8.0).view(4, 2)
    from_lists = Packed.from_lists([[1], [2, 3, 4]]).to_padded(values, fill=9.0)
    assert from_lists.tolist() == [[[0, 1], [9, 9], [9, 9]], [[2, 3], [4, 5], [6, 7]]]
    mask = torch.tensor([[0, 1, 0], [1, 1, 1]])
    from_padded = Packed.from_padded(mask, mask).to_padded(values)
    assert from_padded.tolist() == [[[0, 0], [0, 1], [0, 0]], [[2, 3], [4, 5], [6, 7]]]


def test_gradients_flow_through_padding_and_splitting():
    packed = Packed.from_lists([[1], [2, 3]])
    values = torch.ones(3, 2, requires_grad=True)
    (packed.to_padded(values).sum() + packed.split(values)[1].sum()).backward()
    assert values.grad.tolist() == [[1, 1], [2, 2], [2, 2]]


def test_splitting_copies_nothing():
    packed = Packed.from_lists([[1], [2, 3]])
    values = torch.zeros(3, 2)
    packed.split(values)[1][:] = 5
    assert values.tolist() == [[0, 0], [5, 5], [5, 5]]


# ---------------------------------------------------------------- other batches of the same layout


def test_moving_to_the_same_device_is_free():
    packed = Packed.from_lists([[1, 2]])
    assert packed.to("cpu") is packed


def test_moving_takes_everything_along_and_leaves_tables_behind():
    packed = Packed.from_padded(torch.tensor([[0, 5], [6, 7]]), torch.tensor([[0, 1], [1, 1]]))
    assert packed.documents.tolist() == [0, 1, 1]
    moved = packed.to("meta")
    assert all(x.is_meta for x in (moved.ids, moved.positions, moved.places, moved.documents, moved.offsets_on_device))
    assert (moved.offsets, moved.widest, moved.has_holes, moved.padded_shape) == (packed.offsets, 1, False, (2, 2))
    assert not packed.documents.is_meta


def test_a_batch_on_a_gpu_has_what_its_kernels_ask_for_from_the_start():
    """Compiled code must find it: what it made itself would hold for one layout only."""
    here = torch.tensor([[0, 5], [6, 7]])
    for packed in (Packed.from_lists([[1, 2, 3], [4]], device="meta"), Packed.from_padded(here).to("meta")):
        assert {"offsets", "longest"} <= set(packed.memo)
    assert not Packed.from_lists([[1]]).memo


def test_other_tokens_in_the_same_layout_keep_the_tables():
    packed = Packed.from_lists([[1, 2], [3]])
    documents = packed.documents
    masked = packed.with_ids(torch.tensor([1, 9, 9]))
    assert masked.ids.tolist() == [1, 9, 9]
    assert packed.ids.tolist() == [1, 2, 3]
    assert masked.offsets == packed.offsets
    assert masked.documents is documents


def test_a_table_is_made_once_a_batch():
    packed, calls = Packed.from_lists([[1, 2]]), []
    for _ in range(2):
        assert packed.derived(("a", 1), lambda: calls.append(1) or "made") == "made"
    assert calls == [1]
    assert Packed.from_lists([[1, 2]]).memo == {}


def test_a_batch_that_was_evaluated_first_can_be_trained_on():
    packed = Packed.from_lists([[1, 2], [3]])
    with torch.inference_mode():
        assert not packed.derived("table", lambda: torch.zeros(3)).is_inference()
        assert not packed.documents.is_inference()
        assert not packed.offsets_on_device.is_inference()


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        ([], "there is no document to pack: found an empty list, expected one list of token ids or more"),
        ([[3, -100]], r"token ids are 0 or more: found -100 \(labels such as -100 do not belong here\)"),
        ([[1, 2.5]], "token ids are whole numbers: found torch.float32, which would have been cut silently"),
        ([[True, False]], "token ids are whole numbers: found torch.bool"),
        (["text"], r"documents are lists of token ids \(whole numbers\): too many dimensions 'str'"),
        ([[None]], r"documents are lists of token ids \(whole numbers\): .*NoneType"),
        ([[[1], [2]]], r"documents are lists of token ids \(whole numbers\): found \[1\] among them"),
        ([[2**70]], r"documents are lists of token ids \(whole numbers\): Overflow"),
    ],
    ids=["no documents", "a label", "a fraction", "truth values", "text", "none", "nested", "huge"],
)
def test_what_is_no_document_is_refused(documents, sentence, unchecked):
    with pytest.raises(ValueError, match=sentence):
        Packed.from_lists(documents)


@pytest.mark.parametrize(
    ("ids", "mask", "sentence"),
    [
        (torch.ones(3).long(), None, r"rows by columns with a mask of the same shape: found ids \(3,\)$"),
        (torch.ones(2, 3).long(), torch.ones(2, 4), r"found ids \(2, 3\) and mask \(2, 4\)"),
        (torch.ones(0, 3).long(), None, r"there is no document to pack: found ids \(0, 3\), expected one row or more"),
        (torch.tensor([[1, -100]]), None, "token ids are 0 or more: found -100"),
        (torch.tensor([[1.0]]), None, "token ids are whole numbers: found torch.float32"),
    ],
    ids=["one row", "another mask", "no rows", "a label", "fractions"],
)
def test_what_is_no_padded_batch_is_refused(ids, mask, sentence, unchecked):
    with pytest.raises(ValueError, match=sentence):
        Packed.from_padded(ids, mask)


def test_a_label_behind_the_mask_does_no_harm():
    assert Packed.from_padded(torch.tensor([[1, -100]]), torch.tensor([[1, 0]])).ids.tolist() == [1]


def test_another_number_of_tokens_is_another_layout(unchecked):
    packed = Packed.from_lists([[1, 2]])
    with pytest.raises(ValueError, match="the same layout needs as many tokens: found 3, expected 2"):
        packed.with_ids(torch.tensor([1, 2, 3]))


def test_the_type_checks_of_this_suite_are_on():
    with pytest.raises(Exception, match="Type-check error"):
        Packed.from_padded(torch.ones(3).long())


def test_padding_and_packing_do_not_change_bits():
    values = torch.randn(4, 3)
    packed = Packed.from_padded(torch.ones(2, 3).long(), torch.tensor([[1, 0, 1], [0, 1, 1]]))
    assert_exact(packed.to_padded(values).flatten(0, 1)[packed.places], values)
