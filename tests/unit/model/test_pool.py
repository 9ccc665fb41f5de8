"""One vector a document."""

import pytest
import torch

from modernbert.model.pool import pool
from modernbert.ops.packed import Packed
from support.close import assert_exact, assert_fp32, error
from support.tiny import random_documents


def test_cls_is_the_first_token_of_each_document():
    packed = Packed.from_lists(random_documents([3, 1, 5]))
    hidden = torch.randn(9, 4)
    assert_exact(pool(hidden, packed, "cls"), hidden[[0, 3, 4]])


def test_mean_is_over_the_documents_own_tokens():
    packed = Packed.from_lists(random_documents([3, 1, 5]))
    hidden = torch.randn(9, 4)
    truth = torch.stack([part.double().mean(0) for part in hidden.split([3, 1, 5])])
    assert_fp32(pool(hidden, packed, "mean"), truth)


def test_left_padding_and_holes_pool_the_first_real_token():
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]])
    packed = Packed.from_padded(mask, mask)
    hidden = torch.randn(4, 2)
    assert_exact(pool(hidden, packed, "cls"), hidden[[0, 2]])


def test_bfloat16_is_summed_in_float32():
    """In bfloat16 a sum of ones stops at 256."""
    packed = Packed.from_lists(random_documents([1000]))
    found = pool(torch.ones(1000, 2, dtype=torch.bfloat16), packed, "mean")
    assert found.dtype == torch.bfloat16
    assert found.tolist() == [[1, 1]]


@pytest.mark.parametrize("how", ["cls", "mean"])
def test_gradients_are_right(how):
    packed = Packed.from_lists(random_documents([3, 1]))
    hidden = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pool(x, packed, how), (hidden,))


@pytest.mark.parametrize("how", ["cls", "mean"])
def test_a_batch_pooled_in_inference_mode_can_be_trained_on_next(how):
    packed = Packed.from_lists(random_documents([3, 1]))
    hidden = torch.randn(4, 2, requires_grad=True)
    with torch.inference_mode():
        evaluated = pool(hidden, packed, how)
    trained = pool(hidden, packed, how)
    trained.sum().backward()
    assert error(trained, evaluated.clone().double()) == 0


@pytest.mark.parametrize("how", ["cls", "mean"])
def test_an_empty_document_has_nothing_to_pool(how):
    packed = Packed.from_lists([[1], [], []])
    sentence = r"document 1 is empty: found no token to pool, expected one or more; drop it, or give it a \[CLS\]"
    with pytest.raises(ValueError, match=sentence):
        pool(torch.zeros(1, 2), packed, how)
