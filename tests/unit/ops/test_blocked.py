"""Blocked attention against the reference: every mixture of documents, every window, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from modernbert.ops import _blocked, _reference
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import assert_exact, assert_half, error
from support.memory import LargestTensor
from support.mixtures import MIXTURES, WINDOWS
from support.tiny import random_documents, random_heads

EXACT = 1e-13
"""Two float64 computations of the same sums in another order."""

HOLED = {
    "a hole in a short row beside a full one": [[*range(100)], [*range(20), *range(90, 100)]],
    "every other token": [[*range(0, 100, 2)], [*range(1, 100, 2)], [5]],
    "wider than the window": [[0, 99], [*range(100)], []],
    "in every row": [[*range(10), *range(30, 64)], [*range(64, 80), 99]],
}


def holed(columns):
    mask = torch.zeros(len(columns), 100)
    for row, real in enumerate(columns):
        mask[row, real] = 1
    return Packed.from_padded(torch.ones(len(columns), 100).long(), mask)


def compare(packed, window):
    heads = [x.requires_grad_() for x in random_heads(packed)]
    found = _blocked.attend(*heads, layout=packed, window=window)
    truth = _reference.attend(*heads, layout=packed, window=window)
    assert error(found, truth) < EXACT
    upstream = torch.randn_like(truth)
    for name, ours, theirs in zip(
        "qkv", torch.autograd.grad(found, heads, upstream), torch.autograd.grad(truth, heads, upstream), strict=True
    ):
        assert error(ours, theirs) < EXACT, f"gradient of {name}"


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("lengths", MIXTURES.values(), ids=MIXTURES)
def test_any_mixture_of_documents_gives_the_references_output_and_gradients(lengths, window):
    compare(Packed.from_lists(random_documents(lengths)), window)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("columns", HOLED.values(), ids=HOLED)
def test_holes_give_the_references_output_and_gradients(columns, window):
    packed = holed(columns)
    assert packed.has_holes
    compare(packed, window)


@pytest.mark.parametrize("window", [Window.full(), Window.both(64)], ids=["full", "64"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_good_as_plain_torch(window, dtype):
    packed = Packed.from_lists(random_documents([12, 400, 9, 9, 130, 1]))
    heads = [x.to(dtype).requires_grad_() for x in random_heads(packed)]
    exact = [x.detach().double().requires_grad_() for x in heads]
    found = _blocked.attend(*heads, layout=packed, window=window)
    plain = _reference.attend(*heads, layout=packed, window=window)
    truth = _reference.attend(*exact, layout=packed, window=window)
    assert_half(found.detach(), plain=plain.detach(), truth=truth.detach())
    upstream = torch.randn_like(truth).to(dtype)
    gradients = (
        torch.autograd.grad(found, heads, upstream),
        torch.autograd.grad(plain, heads, upstream),
        torch.autograd.grad(truth, exact, upstream.double()),
    )
    for ours, rough, true in zip(*gradients, strict=True):
        assert_half(ours, plain=rough, truth=true)


@pytest.mark.parametrize("window", [Window.full(), Window.both(8)], ids=["full", "8"])
def test_dropout_drops_weights_and_keeps_their_mean(window):
    packed = Packed.from_lists(random_documents([300, 3, 3, 200]))
    q, k, v = (x.float().requires_grad_() for x in random_heads(packed, heads=4))
    ones = torch.ones_like(v)
    found = _blocked.attend(q, k, ones, layout=packed, window=window, dropout=0.25)
    assert found.std() > 0.1
    assert abs(float(found.detach().mean()) - 1) < 0.05
    _blocked.attend(q, k, v, layout=packed, window=window, dropout=0.25).sum().backward()
    assert all(bool(x.grad.isfinite().all()) for x in (q, k, v))


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize("window", [Window.full(), Window.both(64)], ids=["full", "64"])
def test_a_long_document_never_meets_a_square_of_its_length(window):
    length = 2048
    packed = Packed.from_lists(random_documents([length]))
    q, k, v = (x.float().requires_grad_() for x in random_heads(packed, heads=1))
    with LargestTensor() as blocked:
        _blocked.attend(q, k, v, layout=packed, window=window).sum().backward()
    assert blocked.numbers <= length * length / 8, blocked.made_by
    with LargestTensor() as reference:
        _reference.attend(q, k, v, layout=packed, window=window)
    assert reference.numbers >= length * length, "the measure must see what it is there to see"


@pytest.mark.parametrize("window", [Window.full(), Window.both(64), Window.both(8)], ids=["full", "64", "8"])
def test_a_thousand_tweets_are_few_calls(window, monkeypatch):
    calls = []
    kernel = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *x, **y: calls.append(1) or kernel(*x, **y))
    packed = Packed.from_lists(random_documents([1 + (17 * i) % 60 for i in range(1000)]))
    q, k, v = (x.float() for x in random_heads(packed, heads=1, size=8))
    _blocked.attend(q, k, v, layout=packed, window=window)
    assert 1 <= len(calls) <= 12


def test_equal_neighbours_are_one_call_without_a_copy():
    packed = Packed.from_lists(random_documents([20] * 50))
    (stack,) = _blocked._plan(packed).stacks
    assert (stack.start, stack.shape) == (0, (50, 20))
    assert stack.gather is stack.real is stack.mask is None


@pytest.mark.parametrize("window", [Window.full(), Window.both(8)], ids=["full", "8"])
def test_a_batch_evaluated_in_inference_mode_can_be_trained_on_next(window):
    packed = Packed.from_lists(random_documents([30, 7, 7, 100]))
    heads = [x.requires_grad_() for x in random_heads(packed)]
    with torch.inference_mode():
        evaluated = _blocked.attend(*heads, layout=packed, window=window)
    trained = _blocked.attend(*heads, layout=packed, window=window)
    assert_exact(trained.detach(), evaluated.clone())
    trained.sum().backward()


@pytest.mark.parametrize("window", [Window.full(), Window.both(8)], ids=["full", "8"])
def test_one_batch_serves_several_precisions(window):
    packed = Packed.from_lists(random_documents([30, 7, 7, 100]))
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        heads = [x.to(dtype) for x in random_heads(packed)]
        truth = _reference.attend(*(x.double() for x in heads), layout=packed, window=window)
        found = _blocked.attend(*heads, layout=packed, window=window)
        assert found.dtype == dtype
        assert error(found, truth) <= torch.finfo(dtype).eps * 10


def test_plans_are_made_once_a_batch():
    packed = Packed.from_lists(random_documents([30, 7, 7, 100]))
    heads = random_heads(packed)
    for window in (Window.full(), Window.both(8), Window.both(9)):
        _blocked.attend(*heads, layout=packed, window=window)
    made = dict(packed.memo)
    for window in (Window.full(), Window.both(8), Window.both(9)):
        _blocked.attend(*heads, layout=packed, window=window)
    assert packed.memo.keys() == made.keys()
    assert all(packed.memo[name] is made[name] for name in made)
