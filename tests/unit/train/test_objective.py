"""One forward for training, one for judging: both say the same of every token."""

import pytest
import torch

from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.ops.packed import Packed
from modernbert.train import objective
from modernbert.train.objective import Objective
from support.close import assert_exact, assert_fp32
from support.tiny import random_documents, tiny_config

AT = torch.tensor([0, 3, 17, 30, 31])


@pytest.fixture(scope="module")
def model():
    return fresh(tiny_config(num_hidden_layers=2), MaskedLM, seed=2).double().eval()


@pytest.fixture(scope="module")
def packed():
    return Packed.from_lists(random_documents([20, 12]))


@pytest.mark.parametrize("room", [1, 2 * 320, 1 << 24], ids=["a token", "two tokens", "all"])
def test_each_tokens_loss_is_that_of_its_logits_whatever_the_chunks(model, packed, room, monkeypatch):
    monkeypatch.setattr(objective, "CHUNK_LOGITS", room)
    targets = packed.ids[AT]
    with torch.no_grad():
        losses, found = Objective(model)(packed, AT, targets, each=True)
        logits = model.decoder(model.head(model.model(packed)[AT]))
    assert_fp32(losses, -logits.log_softmax(1)[range(5), targets])
    assert_exact(found, logits.argmax(1) == targets)


def test_the_sum_is_that_of_each_and_carries_a_gradient(model, packed):
    targets = packed.ids[AT].flip(0)
    summed = Objective(model)(packed, AT, targets)
    with torch.no_grad():
        losses, found = Objective(model)(packed, AT, targets, each=True)
    assert summed.loss_sum.item() == pytest.approx(losses.double().sum().item(), rel=1e-6)
    assert summed.num_correct == int(found.sum())
    assert summed.loss_sum.requires_grad


def test_only_training_pays_for_large_logits(model, packed):
    plain, weighed = (Objective(model, z_loss=z) for z in (0.0, 0.1))
    targets = packed.ids[AT]
    assert weighed(packed, AT, targets).loss_sum > plain(packed, AT, targets).loss_sum
    with torch.no_grad():
        assert_exact(weighed(packed, AT, targets, each=True)[0], plain(packed, AT, targets, each=True)[0])


def test_nothing_to_predict_is_a_sum_of_zero_that_backward_accepts(model, packed):
    none = torch.tensor([], dtype=torch.int64)
    summed = Objective(model)(packed, none, none)
    summed.loss_sum.backward()
    assert (summed.loss_sum.item(), summed.num_predicted) == (0.0, 0)
    model.zero_grad()
    losses, found = Objective(model)(packed, none, none, each=True)
    assert losses.shape == found.shape == (0,)
