"""Held-out loss against a plain computation in float64: one mean over tokens, whatever rows they are in."""

import copy

import pytest
import torch
import torch.nn.functional as F

from modernbert.core.seeds import Seeds
from modernbert.data.loader import MaskedBatch
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.ops.loss import IGNORE
from modernbert.ops.packed import Packed
from modernbert.train.config import Devices, StableAdamW
from modernbert.train.evaluation import EDGES, Score, evaluate
from modernbert.train.step import Trainer
from modernbert.train.world import World
from support.close import assert_exact
from support.tiny import random_documents, tiny_config


def row(lengths, masked, *, number):
    packed = Packed.from_lists(random_documents(lengths, seed=number))
    labels = torch.full((packed.num_tokens,), IGNORE)
    labels[masked] = packed.ids[masked]
    return MaskedBatch(packed=packed, labels=labels, row=number)


ROWS = [
    row([70, 200], [0, 3, 63, 64, 69, 70, 134, 269], number=0),  # positions 0 3 63 64 69 | 0 64 199
    row([40], [5], number=1),
    row([10, 10], [], number=2),
]


def trainer(dropout=0.0, **world):
    model = fresh(tiny_config(num_hidden_layers=2), MaskedLM, seed=3)
    devices = Devices(precision="float32")
    made = Trainer(model, StableAdamW(), seeds=Seeds(5), devices=devices, dropout=dropout, z_loss=0.5)
    if world:
        made.world = Silent(**world)
    return made


class Silent(World):
    """One of several processes which hears nothing of the others."""

    def total(self, numbers):
        """Only its own."""
        return list(numbers)


def plain(model):
    """Loss of every masked token with its position, and whether it was found."""
    exact = copy.deepcopy(model).double().eval()
    found = []
    for each in ROWS:
        at = (each.labels != IGNORE).nonzero().squeeze(1)
        with torch.no_grad():
            logits = exact.decoder(exact.head(exact.model(each.packed)[at]))
        losses = F.cross_entropy(logits, each.labels[at], reduction="none")
        found += list(
            zip(
                each.packed.positions[at].tolist(),
                losses.tolist(),
                (logits.argmax(1) == each.labels[at]).tolist(),
                strict=True,
            )
        )
    return found


def test_the_score_is_a_mean_over_tokens():
    given = trainer()
    expected = plain(given.model)
    score = evaluate(given, ROWS)
    assert score.num_predicted == len(expected) == 9
    assert score.loss == pytest.approx(sum(loss for _, loss, _ in expected) / 9, rel=1e-6)
    assert score.accuracy == sum(hit for *_, hit in expected) / 9
    classes = {"0": [0, 3, 63, 0, 5], "64": [64, 69, 64], "128": [199]}
    assert list(score.by_position) == list(classes)
    for name, places in classes.items():
        end = dict(zip(map(str, EDGES), [*EDGES[1:], 10**9], strict=True))[name]
        losses = [loss for position, loss, _ in expected if int(name) <= position < end]
        assert len(losses) == len(places)
        assert score.by_position[name] == pytest.approx(sum(losses) / len(losses), rel=1e-6)


def test_judging_changes_nothing_and_is_the_same_each_time():
    given = trainer(dropout=0.3)
    before = copy.deepcopy(given.model.state_dict())
    first = evaluate(given, ROWS)
    assert given.objective.training
    assert first == evaluate(given, ROWS) == evaluate(trainer(), ROWS)
    for name, tensor in given.model.state_dict().items():
        assert_exact(tensor, before[name])


def test_training_goes_on_in_training_mode_also_when_judging_fails():
    given = trainer()
    broken = MaskedBatch(packed=ROWS[0].packed, labels=ROWS[0].labels.clamp(max=10_000) * 0 + 10_000, row=0)
    with pytest.raises(IndexError):
        evaluate(given, [broken])
    assert given.objective.training


def test_processes_share_the_rows_and_call_the_model_equally_often():
    calls = []
    shares = []
    for rank in range(2):
        given = trainer(rank=rank, size=2)
        given.objective.register_forward_hook(lambda *_, rank=rank: calls.append(rank))
        shares.append(evaluate(given, ROWS))
    whole = evaluate(trainer(), ROWS)
    assert calls == [0, 0, 1, 1]
    assert [share.num_predicted for share in shares] == [8, 1]
    assert sum(share.loss * share.num_predicted for share in shares) == pytest.approx(whole.loss * 9, rel=1e-6)


def test_no_rows_score_nothing():
    assert evaluate(trainer(), []) == Score(loss=0.0, accuracy=0.0, num_predicted=0)
