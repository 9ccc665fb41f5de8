"""The training loop: batches in, a trained model and one record a step out."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modernbert.data.loader import MaskedBatch
from modernbert.model.heads import MaskedLM
from modernbert.train.config import Budget, Optim, Schedule
from modernbert.train.optimizer import stable_adamw
from modernbert.train.schedule import learning_rate_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one optimizer step did."""

    number: int
    """From 1."""
    tokens: int
    """Tokens read in this step."""
    total_tokens: int
    """Tokens read so far, this step included."""
    num_predicted: int
    """Masked tokens, over which loss and accuracy are means."""
    loss: float
    """Cross-entropy in nats a masked token."""
    accuracy: float
    """Share of the masked tokens that the largest logit got right."""
    lr: float
    seconds: float
    """Since training began."""
    spent: float
    """Share of the budget, at most 1."""


def fit(
    model: MaskedLM,
    batches: Iterable[MaskedBatch],
    *,
    optim: Optim,
    schedule: Schedule,
    budget: Budget,
    on_step: Callable[[Step], None] = lambda step: None,
) -> list[Step]:
    """Train `model` in place until the budget is spent or the batches end; it is left in evaluation mode.

    However small the budget, one step is made.

    Raises:
        FloatingPointError: the loss is not finite; the weights are still those of the last good step.
    """
    optimizer = stable_adamw(model, optim)
    model.train()
    steps: list[Step] = []
    started, total_tokens = time.perf_counter(), 0
    try:
        for batch in batches:
            spent = budget.spent(total_tokens, time.perf_counter() - started)
            if steps and spent >= 1.0:
                break
            lr = optim.lr * learning_rate_share(schedule, spent)
            for group in optimizer.param_groups:
                group["lr"] = lr
            prediction = model.loss(batch.packed, batch.labels)
            loss = float(prediction.loss.detach())
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"step {len(steps) + 1}: the loss is {loss}: lower the learning rate (now {lr:.1e}) or look at the data"
                )
            prediction.loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total_tokens += batch.packed.num_tokens
            seconds = time.perf_counter() - started
            steps.append(
                Step(
                    number=len(steps) + 1,
                    tokens=batch.packed.num_tokens,
                    total_tokens=total_tokens,
                    num_predicted=prediction.num_predicted,
                    loss=loss,
                    accuracy=prediction.num_correct / max(1, prediction.num_predicted),
                    lr=lr,
                    seconds=seconds,
                    spent=budget.spent(total_tokens, seconds),
                )
            )
            on_step(steps[-1])
    finally:
        model.eval()
    return steps
