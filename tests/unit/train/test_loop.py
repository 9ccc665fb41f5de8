import itertools

import pytest
import torch

from modernbert.core.quantities import Duration, Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.loader import MaskedBatch, Vocabulary, epoch_batches, masked_batches
from modernbert.data.masking import IGNORE, Masking
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.train.config import Budget, Optim, Schedule
from modernbert.train.loop import fit
from support.tiny import random_documents, tiny_config

VOCABULARY = Vocabulary(mask_id=3, special_ids=frozenset({0, 1, 2, 3}), num_ordinary=300)
DOCUMENTS = random_documents([20, 30, 7, 64, 12, 33], seed=4)


def _batches(seed=0):
    return masked_batches(DOCUMENTS, room=64, policy=Masking(), vocabulary=VOCABULARY, seeds=Seeds(seed))


def _fit(model, batches, **changes):
    settings = {
        "optim": Optim(lr=3e-3),
        "schedule": Schedule(warmup=0.0, decay=0.0),
        "budget": Budget(tokens=Tokens(600)),
    }
    return fit(model, batches, **settings | changes)


def test_an_epoch_holds_every_document_once():
    batches = list(epoch_batches(DOCUMENTS, room=64, policy=Masking(), vocabulary=VOCABULARY, seeds=Seeds(1), epoch=3))
    seen = []
    for batch in batches:
        assert batch.packed.num_tokens <= 64
        original = torch.where(batch.labels == IGNORE, batch.packed.ids, batch.labels)
        seen += [document.tolist() for document in batch.packed.split(original)]
    assert sorted(seen) == sorted(DOCUMENTS)


def test_the_same_seed_gives_the_same_stream_and_epochs_differ():
    one, same, other = ([b.packed.ids.tolist() for b in itertools.islice(_batches(s), 12)] for s in (5, 5, 6))
    assert one == same
    assert one != other
    per_epoch = len(
        list(epoch_batches(DOCUMENTS, room=64, policy=Masking(), vocabulary=VOCABULARY, seeds=Seeds(5), epoch=0))
    )
    assert one[:per_epoch] != one[per_epoch : 2 * per_epoch]


def test_it_learns_one_batch_by_heart():
    model = fresh(tiny_config(), MaskedLM, seed=0)
    (batch,) = itertools.islice(_batches(), 1)
    steps = _fit(model, itertools.repeat(batch), budget=Budget(tokens=Tokens(80 * batch.packed.num_tokens)))
    assert steps[-1].loss < 0.3 * steps[0].loss
    assert steps[-1].accuracy == 1.0
    assert not model.training


def test_the_budget_ends_it_and_every_step_is_told():
    told = []
    steps = _fit(fresh(tiny_config()), _batches(), on_step=told.append)
    assert told == steps
    assert steps[-1].total_tokens >= 600 > steps[-2].total_tokens
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].spent == 1.0


def test_the_learning_rate_follows_the_schedule():
    schedule = Schedule(warmup=0.0, decay=1.0, floor=0.0)
    steps = _fit(fresh(tiny_config()), _batches(), schedule=schedule)
    assert steps[0].lr == pytest.approx(3e-3)
    assert [step.lr for step in steps] == sorted((step.lr for step in steps), reverse=True)


def test_time_is_a_budget_too():
    steps = _fit(fresh(tiny_config()), _batches(), budget=Budget(time=Duration(0.3)))
    assert 0.3 <= steps[-1].seconds < 10


def test_the_smallest_budget_is_one_step():
    assert len(_fit(fresh(tiny_config()), _batches(), budget=Budget(time=Duration(1e-9)))) == 1


def test_it_ends_with_the_batches():
    assert len(_fit(fresh(tiny_config()), itertools.islice(_batches(), 2))) == 2


def test_the_same_seed_trains_the_same_weights():
    def train():
        model = fresh(tiny_config(), MaskedLM, seed=1)
        _fit(model, _batches())
        return model.state_dict()

    one, two = train(), train()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_batch_with_nothing_to_predict_changes_nothing_but_counts():
    model = fresh(tiny_config())
    (batch,) = itertools.islice(_batches(), 1)
    empty = MaskedBatch(packed=batch.packed, labels=torch.full_like(batch.labels, IGNORE))
    (step,) = _fit(model, [empty])
    assert (step.loss, step.accuracy, step.num_predicted) == (0.0, 0.0, 0)


def test_a_loss_that_is_not_finite_stops_it_with_the_way_out():
    model = fresh(tiny_config())
    with torch.no_grad():
        model.head.norm.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 1: the loss is nan: lower the learning rate"):
        _fit(model, _batches())
    assert not model.training
