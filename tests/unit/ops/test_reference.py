"""The slow twin against the formula written out with loops, and against torch's own attention."""

import math

import pytest
import torch
import torch.nn.functional as F

from modernbert.ops import _reference
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import error
from support.tiny import random_documents, random_heads


@pytest.mark.parametrize(
    "window", [Window.full(), Window(1, 2), Window(0, 0)], ids=["full", "1 back, 2 ahead", "itself"]
)
def test_attention_is_what_the_formula_says(window):
    packed = Packed.from_lists(random_documents([3, 0, 1, 6]))
    q, k, v = random_heads(packed, heads=2, size=4)
    found = _reference.attend(q, k, v, layout=packed, window=window)
    for start, end in [(0, 3), (3, 4), (4, 10)]:
        for head in range(2):
            for query in range(start, end):
                left = start if window.left is None else max(start, query - window.left)
                right = end - 1 if window.right is None else min(end - 1, query + window.right)
                scores = [math.exp(float(q[query, head] @ k[key, head]) / 2) for key in range(left, right + 1)]
                truth = sum(score / sum(scores) * v[left + i, head] for i, score in enumerate(scores))
                assert error(found[query, head], truth) < 1e-14


def test_one_document_alone_is_torchs_own_attention():
    packed = Packed.from_lists(random_documents([50]))
    q, k, v = random_heads(packed)
    truth = F.scaled_dot_product_attention(*(x.transpose(0, 1) for x in (q, k, v))).transpose(0, 1)
    assert error(_reference.attend(q, k, v, layout=packed, window=Window.full()), truth) < 1e-14


def test_dropout_drops_weights_and_keeps_their_mean():
    packed = Packed.from_lists(random_documents([400]))
    q, k, v = random_heads(packed, heads=4)
    ones = torch.ones_like(v)
    found = _reference.attend(q, k, ones, layout=packed, window=Window.full(), dropout=0.25)
    assert found.std() > 0.1
    assert abs(float(found.mean()) - 1) < 0.05
