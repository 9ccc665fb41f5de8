"""Every masked token of a batch weighs the same, and a step that goes wrong changes nothing."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Batch, Loader, MaskedBatch
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.ops.loss import IGNORE
from modernbert.ops.packed import Packed
from modernbert.train.config import AdamW, Devices, Guard, Muon, StableAdamW
from modernbert.train.guard import TrainingError
from modernbert.train.step import Trainer, places
from support.close import assert_all_fp32
from support.texts import small_tokenizer
from support.tiny import random_documents, tiny_config

FLOAT32 = Devices(precision="float32")
STABLE = StableAdamW(lr=1e-2)
RATES = {"lr": 1e-2, "peak": 1e-2, "weight_decay": 1e-5}


def row(lengths, masked, *, number=0):
    """Documents of these lengths, of which the tokens at `masked` are to be predicted."""
    packed = Packed.from_lists(random_documents(lengths, seed=number))
    labels = torch.full((packed.num_tokens,), IGNORE)
    labels[masked] = packed.ids[masked].flip(0)
    return MaskedBatch(packed=packed, labels=labels, row=number)


def batch(*rows):
    tokens = sum(each.packed.num_tokens for each in rows)
    return Batch(rows=list(rows), num_tokens=tokens, num_rows=len(rows))


UNEVEN = (row([9, 30], [1, 5, 12]), row([20], [0]), row([3, 40, 4], list(range(2, 44))), row([7], [], number=3))
"""3, 1, 42 and no masked tokens."""


def trainer(*, optim=STABLE, dropout=0.0, guard=None, z_loss=0.0, **config):
    model = fresh(tiny_config(num_hidden_layers=2, hidden_size=32, intermediate_size=24, **config), MaskedLM, seed=3)
    return Trainer(model, optim, seeds=Seeds(5), devices=FLOAT32, dropout=dropout, guard=guard, z_loss=z_loss)


class Spy:
    """Stands where the optimizer does, and keeps the gradients that it is handed."""

    def __init__(self, model):
        self.model, self.gradients, self.param_groups = model, {}, []

    def step(self):
        self.gradients = {name: p.grad.clone() for name, p in self.model.named_parameters()}

    def zero_grad(self, set_to_none):
        self.model.zero_grad(set_to_none)


def gradients_of_a_step(given, rows):
    given.optimizer = Spy(given.model)
    outcome = given.step(batch(*rows), **RATES)
    return given.optimizer.gradients, outcome


def truth(model, rows, z_loss=0.0):
    """Gradients and loss of the mean over all masked tokens of all rows at once, in float64 and without our loss."""
    exact = copy.deepcopy(model).double()
    losses = []
    for each in rows:
        at = each.labels != IGNORE
        logits = exact.decoder(exact.head(exact.model(each.packed)[at]))
        losses.append(F.cross_entropy(logits, each.labels[at], reduction="none") + z_loss * logits.logsumexp(1) ** 2)
    loss = torch.cat(losses).mean()
    loss.backward()
    return {name: p.grad for name, p in exact.named_parameters()}, loss


@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
def test_gradients_are_those_of_the_mean_over_all_masked_tokens_of_all_rows(z_loss):
    given = trainer(z_loss=z_loss)
    expected, loss = truth(given.model, UNEVEN, z_loss)
    found, outcome = gradients_of_a_step(given, UNEVEN)
    assert_all_fp32({n: 100 * g for n, g in found.items()}, {n: 100 * g for n, g in expected.items()})
    assert outcome.loss == pytest.approx(loss.item(), rel=1e-6)
    assert outcome.grad_norm == pytest.approx(
        torch.cat([g.flatten() for g in expected.values()]).norm().item(), rel=1e-5
    )
    assert (outcome.num_predicted, outcome.tokens) == (46, 113)


def test_rows_in_any_order_give_the_same_step():
    forth, _ = gradients_of_a_step(trainer(), UNEVEN)
    back, _ = gradients_of_a_step(trainer(), UNEVEN[::-1])
    assert_all_fp32(forth, {name: gradient.double() for name, gradient in back.items()})


def test_accuracy_is_the_share_of_masked_tokens_that_were_found():
    given = trainer()
    given.model.decoder.bias.data[:] = 0
    common = int(UNEVEN[1].labels[0])
    given.model.decoder.bias.data[common] = 1e3
    expected = sum(int((each.labels == common).sum()) for each in UNEVEN) / 46
    assert given.step(batch(*UNEVEN), **RATES).accuracy == pytest.approx(expected)
    assert expected > 0


def test_a_batch_with_nothing_to_predict_is_a_step_of_loss_zero():
    outcome = trainer().step(batch(row([5], []), row([7], [])), **RATES)
    assert (outcome.loss, outcome.accuracy, outcome.num_predicted, outcome.is_skipped) == (0.0, 0.0, 0, False)


def test_a_step_changes_every_weight_and_counts_its_work():
    given = trainer()
    before = copy.deepcopy(given.model.state_dict())
    outcome = given.step(batch(*UNEVEN), **RATES)
    same = [name for name, tensor in given.model.state_dict().items() if torch.equal(tensor, before[name])]
    assert same == []
    assert outcome.flops > 0
    assert all(parameter.grad is None for parameter in given.model.parameters())


def poisoned(given):
    """The first row of the embedding becomes nan; returns what mends it."""
    weight = given.model.model.embeddings.tok_embeddings.weight
    kept = weight[int(UNEVEN[0].packed.ids[0])].clone()

    def put(value):
        with torch.no_grad():
            weight[int(UNEVEN[0].packed.ids[0])] = value

    put(torch.nan)
    return lambda: put(kept)


@pytest.mark.parametrize("optim", [StableAdamW(lr=1e-2), AdamW(lr=1e-2), Muon(lr=1e-2)], ids=lambda optim: optim.kind)
def test_a_step_that_is_not_a_number_is_skipped_and_changes_nothing(optim):
    given = trainer(optim=optim)
    given.step(batch(*UNEVEN), **RATES)
    weights, history = copy.deepcopy(given.model.state_dict()), copy.deepcopy(given.optimizer.state_dict())
    mend = poisoned(given)
    outcome = given.step(batch(*UNEVEN), **RATES)
    mend()
    assert outcome.is_skipped
    assert outcome.loss != outcome.loss
    assert (given.watch.num_skipped, given.watch.state()["in_a_row"]) == (1, 1)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in given.model.state_dict().items())
    for key, state in given.optimizer.state_dict()["state"].items():
        assert all(torch.equal(torch.as_tensor(v), torch.as_tensor(history["state"][key][n])) for n, v in state.items())
    assert not given.step(batch(*UNEVEN), **RATES).is_skipped


def test_a_spike_is_skipped_and_changes_nothing():
    given = trainer(guard=Guard(spike=3.0))
    for _ in range(20):  # with fewer, a watch does not know what is usual
        given.step(batch(UNEVEN[0]), lr=0.0, peak=1e-2, weight_decay=0.0)
    before = copy.deepcopy(given.model.state_dict())
    loud = given.model.head.norm.weight
    loud.data *= 50
    outcome = given.step(batch(UNEVEN[0]), **RATES)
    loud.data /= 50
    assert outcome.is_skipped
    assert outcome.loss == outcome.loss
    assert all(torch.allclose(tensor, before[name], rtol=1e-6) for name, tensor in given.model.state_dict().items())


def test_too_many_skipped_steps_stop_with_advice():
    given = trainer(guard=Guard(patience=3))
    poisoned(given)
    for _ in range(2):
        given.step(batch(*UNEVEN), **RATES)
    with pytest.raises(
        TrainingError, match="3 steps in a row were skipped, the last because the loss is nan: go on from"
    ):
        given.step(batch(*UNEVEN), **RATES)


def test_forgetting_begins_the_history_anew():
    given = trainer()
    given.step(batch(*UNEVEN), **RATES)
    given.forget()
    assert all(not tensor.any() for own in given.optimizer.state.values() for tensor in own.values())


@pytest.mark.parametrize("place", ["recipe", "embedding_dropout", "mlp_dropout", "attention_dropout"])
def test_what_drops_out_follows_from_the_row_and_the_stage_wherever_it_is_asked_for(place):
    """Also where the model's own config asks for it."""

    def losses(seed, rows, noise):
        config = {} if place == "recipe" else {place: 0.2}
        given = trainer(dropout=0.2 if place == "recipe" else 0.0, **config)
        given.seeds = Seeds(seed)
        torch.manual_seed(noise)
        return [given.step(batch(each), lr=0.0, peak=1.0, weight_decay=0.0).loss for each in rows]

    one, two = row([30, 40], [3, 9, 50], number=1), row([30, 40], [3, 9, 50], number=2)
    assert losses(5, [one, two], noise=1) == losses(5, [two, one], noise=2)[::-1]
    assert losses(5, [one], noise=1) != losses(6, [one], noise=1)


def test_dropout_of_another_row_is_another_one():
    given = trainer(dropout=0.2)
    same = UNEVEN[0]
    twice = [
        given.step(batch(MaskedBatch(packed=same.packed, labels=same.labels, row=n)), lr=0, peak=1, weight_decay=0).loss
        for n in (1, 2)
    ]
    assert twice[0] != twice[1]


def test_places_are_where_labels_are():
    at, targets = places(UNEVEN[0])
    assert at.tolist() == [1, 5, 12]
    assert targets.tolist() == [int(UNEVEN[0].labels[n]) for n in (1, 5, 12)]


def test_a_loader_s_batch_is_what_a_step_takes():
    documents = InMemory(random_documents([20, 50, 7, 64, 12], seed=4), Vocabulary.of(small_tokenizer()))
    rows = Rows(length=Tokens(64), room=Tokens(64), look_ahead=8)
    with Loader({"a": (Source(path=Path()), documents)}, rows, Masking(), seeds=Seeds(1), tokens=1000) as loader:
        read = loader.take(3)
    given = trainer(vocab_size=448)
    outcome = given.step(read, **RATES)
    assert outcome.tokens == read.num_tokens == sum(each.packed.num_tokens for each in read.rows)
