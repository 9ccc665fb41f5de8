"""The loss of answers against transformers' own: row by row, in any company, in one batch or in several."""

import pytest
import torch
from transformers.loss.loss_utils import ForQuestionAnsweringLoss

from modernbert.tasks.finetune.losses import span_loss

LENGTHS = (1, 7, 12, 12)


def _rows():
    chance = torch.Generator().manual_seed(3)
    logits = {
        name: torch.randn(len(LENGTHS), max(LENGTHS), generator=chance, requires_grad=True)
        for name in ("start_logits", "end_logits")
    }
    labels = torch.tensor([[0, length - 1, length] for length in LENGTHS])
    return logits, labels


def test_each_row_counts_as_it_does_alone_under_stocks_loss():
    logits, labels = _rows()
    found = span_loss(logits, labels)
    alone = [
        ForQuestionAnsweringLoss(*(logits[name][i : i + 1, :length] for name in logits), first[None], last[None])
        for i, (first, last, length) in enumerate(labels)
    ]
    expected = torch.stack(alone).mean()
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad(found, list(logits.values()), retain_graph=True)
    for gradient, other in zip(ours, torch.autograd.grad(expected, list(logits.values())), strict=True):
        torch.testing.assert_close(gradient, other)
        assert not gradient[1, 7:].any()


def test_without_padding_it_is_stocks():
    logits, labels = _rows()
    whole = {name: each[2:] for name, each in logits.items()}
    expected = ForQuestionAnsweringLoss(*whole.values(), labels[2:, 0], labels[2:, 1])
    torch.testing.assert_close(span_loss(whole, labels[2:]), expected)


def test_a_step_of_two_batches_is_one_of_both():
    logits, labels = _rows()
    num_labels = (labels != -100).sum()  # as transformers' Trainer counts them
    halves = [
        span_loss({name: each[part] for name, each in logits.items()}, labels[part], num_items_in_batch=num_labels)
        for part in (slice(0, 1), slice(1, 4))
    ]
    assert float(sum(halves).detach()) == pytest.approx(float(span_loss(logits, labels).detach()), rel=1e-6)
