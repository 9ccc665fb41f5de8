"""The chunked loss against torch's own cross-entropy, in value, in gradient and in memory."""

import pytest
import torch
import torch.nn.functional as F

from modernbert.ops import loss as loss_module
from modernbert.ops.loss import IGNORE, _add_product, masked_cross_entropy
from support.close import assert_fp32, assert_half, error
from support.memory import LargestTensor

M, D, V = 37, 16, 50
CHUNKS = {"a token": V, "less than a token": 1, "five tokens": 5 * V, "all but one": (M - 1) * V, "everything": 1 << 24}


def parts(dtype=torch.float64, *, with_bias=True, num_masked=M):
    hidden = 2 * torch.randn(num_masked, D, dtype=torch.float64)
    weight = torch.randn(V, D, dtype=torch.float64)
    bias = torch.randn(V, dtype=torch.float64) if with_bias else None
    targets = torch.randint(0, V, (num_masked,))
    hidden, weight, bias = (x if x is None else x.to(dtype).requires_grad_() for x in (hidden, weight, bias))
    return hidden, targets, weight, bias


def twin(hidden, targets, weight, bias, z_loss=0.0):
    """All logits at once, and autograd."""
    logits = F.linear(hidden, weight, bias)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits, targets, reduction="sum") + z_loss * logits.logsumexp(1).pow(2).sum()


def gradients(value, *inputs):
    return torch.autograd.grad(value, [x for x in inputs if x is not None])


@pytest.mark.parametrize("chunk", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
def test_value_and_gradients_are_those_of_all_logits_at_once(chunk, z_loss, with_bias, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", chunk)
    hidden, targets, weight, bias = parts(with_bias=with_bias)
    found = masked_cross_entropy(hidden, targets, weight, bias, z_loss=z_loss)
    truth = twin(hidden, targets, weight, bias, z_loss)
    assert error(found.loss_sum, truth) < 1e-13
    assert error(found.loss, truth / M) < 1e-13
    assert found.num_predicted == M
    assert found.num_correct == int((F.linear(hidden, weight, bias).argmax(1) == targets).sum())
    for ours, theirs in zip(
        gradients(3 * found.loss_sum, hidden, weight, bias), gradients(3 * truth, hidden, weight, bias), strict=True
    ):
        assert error(ours, theirs) < 1e-12


def test_the_gradient_is_the_slope():
    hidden, targets, weight, bias = parts(num_masked=3)
    check = lambda *inputs: masked_cross_entropy(inputs[0], targets, *inputs[1:], z_loss=0.1).loss_sum  # noqa: E731
    assert torch.autograd.gradcheck(check, (hidden, weight, bias))


def test_float32_is_as_exact_as_float32_can_be(monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", 5 * V)
    hidden, targets, weight, bias = parts(torch.float32)
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    found, truth = masked_cross_entropy(hidden, targets, weight, bias).loss, twin(exact[0], targets, *exact[1:]) / M
    assert found.dtype == torch.float32
    assert_fp32(found, truth)
    for ours, theirs in zip(gradients(found, hidden, weight, bias), gradients(truth, *exact), strict=True):
        assert_fp32(ours, theirs)


def test_bfloat16_is_as_good_as_plain_torch(monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", 5 * V)
    hidden, targets, weight, bias = parts(torch.bfloat16)
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    found = masked_cross_entropy(hidden, targets, weight, bias, z_loss=1e-3).loss
    plain = twin(hidden, targets, weight, bias, 1e-3) / M
    truth = twin(exact[0], targets, *exact[1:], 1e-3) / M
    assert found.dtype == torch.float32
    assert_half(found.detach().bfloat16(), plain=plain.detach().bfloat16(), truth=truth.detach())
    for ours, rough, true in zip(
        gradients(found, hidden, weight, bias), gradients(plain, hidden, weight, bias), gradients(truth, *exact),
        strict=True,
    ):  # fmt: skip
        assert ours.dtype == torch.bfloat16
        assert_half(ours, plain=rough, truth=true)


def test_under_autocast_it_is_as_good_as_plain_torch():
    hidden, targets, weight, bias = parts(torch.float32)
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    with torch.autocast("cpu", torch.bfloat16):
        found = masked_cross_entropy(hidden, targets, weight, bias).loss
        plain = twin(hidden, targets, weight, bias) / M
    truth = twin(exact[0], targets, *exact[1:]) / M
    assert_half(found.detach().bfloat16(), plain=plain.detach().bfloat16(), truth=truth.detach())
    for ours, rough, true in zip(
        gradients(found, hidden, weight, bias), gradients(plain, hidden, weight, bias), gradients(truth, *exact),
        strict=True,
    ):  # fmt: skip
        assert ours.dtype == torch.float32
        assert_half(ours.bfloat16(), plain=rough.bfloat16(), truth=true)


@pytest.mark.parametrize("wanted", ["hidden", "weight", "bias"])
def test_only_the_gradients_asked_for_are_computed(wanted):
    hidden, targets, weight, bias = parts()
    inputs = {"hidden": hidden, "weight": weight, "bias": bias}
    truth = gradients(twin(hidden, targets, weight, bias), inputs[wanted])[0]
    for name, x in inputs.items():
        x.requires_grad_(name == wanted)
    masked_cross_entropy(hidden, targets, weight, bias).loss_sum.backward()
    assert error(inputs[wanted].grad, truth) < 1e-12
    assert [name for name, x in inputs.items() if x.grad is not None] == [wanted]


# ---------------------------------------------------------------- nothing to predict, nothing that fits


def test_nothing_masked_is_a_loss_of_zero_with_gradients_of_zero():
    hidden, targets, weight, bias = parts(num_masked=0)
    found = masked_cross_entropy(hidden, targets, weight, bias, z_loss=0.1)
    assert (found.loss.item(), found.num_predicted, found.num_correct) == (0.0, 0, 0)
    found.loss.backward()
    assert hidden.grad.shape == (0, D)
    assert not bool(weight.grad.any())
    assert not bool(bias.grad.any())


@pytest.mark.parametrize("bad", [IGNORE, -1, V, V + 7])
def test_a_target_outside_the_vocabulary_is_refused(bad):
    hidden, targets, weight, bias = parts()
    targets[5] = bad
    sentence = f"target {bad} is outside the vocabulary of {V}: drop ignored tokens first"
    with pytest.raises(ValueError, match=sentence):
        masked_cross_entropy(hidden, targets, weight, bias)


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("grad", [True, False], ids=["training", "evaluation"])
def test_the_logits_of_all_tokens_are_never_held_at_once(grad, monkeypatch):
    num_masked, vocabulary, room = 2_000, 500, 10_000
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", room)
    hidden = torch.randn(num_masked, 8, requires_grad=grad)
    weight = torch.randn(vocabulary, 8, requires_grad=grad)
    targets = torch.randint(0, vocabulary, (num_masked,))
    with LargestTensor() as chunked:
        found = masked_cross_entropy(hidden, targets, weight)
        if grad:
            found.loss.backward()
    assert chunked.numbers <= max(2 * room, hidden.numel()), chunked.made_by
    with LargestTensor() as plain:
        twin(hidden, targets, weight, None)
    assert plain.numbers >= num_masked * vocabulary, "the measure must see what it is there to see"


def test_evaluating_without_gradients_computes_none():
    """Weights require gradients in evaluation, too: what counts is whether anybody will ask for them."""
    hidden, weight = torch.randn(4, 256), torch.randn(512, 256, requires_grad=True)
    with LargestTensor() as made, torch.no_grad():
        masked_cross_entropy(hidden, torch.tensor([1, 2, 3, 4]), weight)
    assert made.numbers < weight.numel(), made.made_by


def test_a_product_is_added_in_the_format_that_autocast_asks_for():
    total, left, right = torch.randn(6, 4), torch.randn(6, 5), torch.randn(5, 4)
    for asked in (False, True):
        found = total.clone()
        with torch.autocast("cpu", torch.bfloat16, enabled=asked):
            _add_product(found, left, right)
        dtype = torch.bfloat16 if asked else torch.float32
        truth = total + (left.to(dtype) @ right.to(dtype)).float()
        assert torch.allclose(found, truth, atol=1e-6)
