"""How the computation is done changes nothing but rounding: recomputing layers, bfloat16, compiled halves of layers."""

import copy
from pathlib import Path

import pytest
import torch

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Loader
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.train.config import Devices, StableAdamW
from modernbert.train.step import Trainer
from support.tiny import random_documents, tiny_config

VOCABULARY = Vocabulary(
    size=320, num_ordinary=300, cls_id=1, sep_id=2, pad_id=0, mask_id=3, special_ids=frozenset({0, 1, 2, 3})
)


@pytest.fixture
def batch():
    documents = InMemory(random_documents([20, 130, 7, 64, 12, 33, 90], seed=4), VOCABULARY)
    rows = Rows(length=Tokens(128), room=Tokens(256), look_ahead=8)
    with Loader({"a": (Source(path=Path()), documents)}, rows, Masking(), seeds=Seeds(1), tokens=1000) as loader:
        return loader.take(2)


def _step(batch, devices, *, dropout=0.1):
    """The outcome of a step, and the weights after it."""
    model = fresh(tiny_config(), MaskedLM, seed=3)
    trainer = Trainer(model, StableAdamW(lr=1e-3), seeds=Seeds(5), devices=devices, dropout=dropout)
    outcome = trainer.step(batch, lr=1e-3, peak=1e-3, weight_decay=1e-5)
    return outcome, copy.deepcopy(trainer.model.state_dict())


PLAIN = Devices(precision="float32")


def test_recomputing_layers_changes_no_bit(batch):
    plain, recomputed = _step(batch, PLAIN), _step(batch, Devices(precision="float32", recompute=True))
    assert (recomputed[0].loss, recomputed[0].grad_norm) == (plain[0].loss, plain[0].grad_norm)
    assert all(torch.equal(recomputed[1][name], plain[1][name]) for name in plain[1])


def test_recomputing_keeps_less_for_the_backward_pass(batch):
    def kept(devices):
        sizes = []
        trainer = Trainer(fresh(tiny_config(), MaskedLM), StableAdamW(), seeds=Seeds(5), devices=devices)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            trainer.model.loss(batch.rows[0].packed, batch.rows[0].labels)
        return sum(sizes)

    assert kept(Devices(precision="float32", recompute=True)) < 0.5 * kept(PLAIN)


def test_bfloat16_is_near_and_keeps_weights_in_float32(batch):
    plain, half = _step(batch, PLAIN, dropout=0.0), _step(batch, Devices(precision="bfloat16"), dropout=0.0)
    assert half[0].loss != plain[0].loss
    assert half[0].loss == pytest.approx(plain[0].loss, rel=1e-3)
    assert half[0].grad_norm == pytest.approx(plain[0].grad_norm, rel=0.02)
    assert {tensor.dtype for tensor in half[1].values()} == {torch.float32}


@pytest.mark.filterwarnings("ignore")
def test_compiled_layers_are_the_plain_ones_within_rounding(batch, unchecked):
    plain, fused = (
        _step(batch, PLAIN, dropout=0.0),
        _step(batch, Devices(precision="float32", compile=True), dropout=0.0),
    )
    assert fused[0].loss == pytest.approx(plain[0].loss, abs=1e-5)
    assert fused[0].grad_norm == pytest.approx(plain[0].grad_norm, rel=1e-4)


def test_dropout_falls_by_the_number_of_the_row(batch):
    one, same = _step(batch, PLAIN), _step(batch, PLAIN)
    assert one[0].loss == same[0].loss
    assert one[0].loss != _step(batch, PLAIN, dropout=0.0)[0].loss
