"""FlexAttention, uncompiled here: the same meaning as the reference. Gradients and compiling are in tests/gpu."""

import pytest
import torch

from modernbert.ops import _flex, _reference
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import error
from support.tiny import BOUNDARIES, random_documents, random_heads

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize(
    "window", [Window.full(), Window.both(64), Window(3, 5)], ids=["full", "64", "3 back, 5 ahead"]
)
@pytest.mark.parametrize(
    "lengths", [[1], [0, 5, 0, 40], BOUNDARIES], ids=["one token", "empty among them", "boundaries"]
)
def test_flex_gives_the_references_output(lengths, window):
    packed = Packed.from_lists(random_documents(lengths))
    heads = random_heads(packed)
    truth = _reference.attend(*heads, layout=packed, window=window)
    assert error(_flex.attend(*heads, layout=packed, window=window), truth) < 1e-13


def test_flex_counts_columns_across_a_hole():
    mask = torch.ones(2, 90)
    mask[1, 20:60] = 0
    packed = Packed.from_padded(torch.ones(2, 90).long(), mask)
    heads = random_heads(packed)
    truth = _reference.attend(*heads, layout=packed, window=Window.both(30))
    assert error(_flex.attend(*heads, layout=packed, window=Window.both(30)), truth) < 1e-13


def test_one_batch_holds_a_mask_for_each_window():
    packed = Packed.from_lists(random_documents([40]))
    heads = random_heads(packed)
    for window in (Window.both(2), Window.both(3), Window.full()):
        truth = _reference.attend(*heads, layout=packed, window=window)
        assert error(_flex.attend(*heads, layout=packed, window=window), truth) < 1e-13
