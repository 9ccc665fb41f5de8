"""Held-out text during training: loss and accuracy of each source, over its masked tokens, and by position.

Masks are the same at every evaluation, at one rate for all stages, so numbers of different steps can be compared. A
mean over tokens, not over batches: a batch of few masked tokens must not count as much as a full one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from modernbert.data.loader import MaskedBatch
from modernbert.ops.loss import IGNORE
from modernbert.train.step import Trainer, places

EDGES = (0, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Where the classes of positions begin; the last is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What the model made of one source."""

    loss: float
    """Nats a masked token."""
    accuracy: float
    """Share of the masked tokens found."""
    num_predicted: int
    by_position: dict[str, float] = field(default_factory=dict)
    """Loss by the place in the document: "0", "64", "128", ... name the first place of a class."""


def evaluate(trainer: Trainer, rows: Sequence[MaskedBatch]) -> Score:
    """Score these rows, each process its share; all must call it with the same rows."""
    world = trainer.world
    losses = torch.zeros(len(EDGES), dtype=torch.float64)
    counts = torch.zeros(len(EDGES), dtype=torch.float64)
    found = 0.0
    trainer.objective.eval()
    try:
        for start in range(0, len(rows), world.size):
            is_mine = start + world.rank < len(rows)
            row = rows[start + world.rank] if is_mine else _silenced(rows[start])
            row_losses, row_counts, row_found = _score(trainer, row)
            losses, counts, found = losses + row_losses, counts + row_counts, found + row_found
    finally:
        trainer.objective.train()
    sums = world.total([*losses.tolist(), *counts.tolist(), found])
    losses_by_place, counts_by_place = sums[: len(EDGES)], sums[len(EDGES) : -1]
    total = max(1.0, sum(counts_by_place))
    return Score(
        loss=sum(losses_by_place) / total,
        accuracy=sums[-1] / total,
        num_predicted=int(sum(counts_by_place)),
        by_position={
            str(edge): loss / count
            for edge, loss, count in zip(EDGES, losses_by_place, counts_by_place, strict=True)
            if count
        },
    )


def _score(trainer: Trainer, row: MaskedBatch) -> tuple[torch.Tensor, torch.Tensor, float]:
    at, targets = places(row)
    device = trainer.world.device
    with torch.no_grad(), trainer.autocast():
        each, is_found = trainer.objective(row.packed.to(device), at.to(device), targets.to(device), each=True)
    place = torch.bucketize(row.packed.positions[at], torch.tensor(EDGES[1:]), right=True)
    empty = torch.zeros(len(EDGES), dtype=torch.float64)
    return (
        empty.index_add(0, place, each.double().cpu()),
        empty.index_add(0, place, torch.ones(len(place), dtype=torch.float64)),
        float(is_found.sum()),
    )


def _silenced(row: MaskedBatch) -> MaskedBatch:
    """A row that counts for nothing: all processes must call a sharded model equally often."""
    return replace(row, labels=torch.full_like(row.labels, IGNORE))
