"""One optimizer step: rows in, changed weights and a record out. The same for one process and for many.

Every masked token of the global batch weighs the same, whichever row, micro-batch or process it is in. (The reference
trainer weighs a micro-batch by its number of documents, so tokens of short documents count more.)
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from modernbert.core.seeds import Seeds
from modernbert.data.loader import Batch, MaskedBatch
from modernbert.model.counts import forward_flops
from modernbert.model.heads import MaskedLM
from modernbert.model.layers import Layer
from modernbert.model.precision import best_precision
from modernbert.ops.loss import IGNORE, Prediction
from modernbert.train.config import AdamW, Devices, Guard, Optim
from modernbert.train.guard import Watch
from modernbert.train.objective import Objective
from modernbert.train.optimizer import clip, global_grad_norm, make_optimizer, set_rates
from modernbert.train.world import World, without_sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one step did, summed over all processes."""

    tokens: int
    """Tokens read, masked or not."""
    num_predicted: int
    """Masked tokens, over which loss and accuracy are means."""
    loss: float
    """Cross-entropy in nats a masked token, z-loss included."""
    accuracy: float
    """Share of the masked tokens that the largest logit got right."""
    grad_norm: float
    """Of all gradients together, before any clipping."""
    is_skipped: bool
    """The step was not made; weights and optimizer are as before."""
    flops: float
    """Forward and backward by formula, of all processes."""


class Trainer:
    """A model, its optimizer and the watch over them."""

    def __init__(
        self,
        model: MaskedLM,
        optim: Optim,
        *,
        seeds: Seeds,
        world: World | None = None,
        devices: Devices | None = None,
        guard: Guard | None = None,
        z_loss: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        devices = devices or Devices()
        self.world = world or World()
        self.watch = Watch(guard or Guard())
        self.model = model.to(self.world.device)
        self.model.train()
        encoder = self.model.model
        encoder.gradient_checkpointing, encoder.compiles = devices.recompute, devices.compile
        for layer in cast("list[Layer]", encoder.layers):
            layer.attn.out_drop.p = max(dropout, model.config.attention_dropout)
        self.objective = self.world.spread(Objective(self.model, z_loss=z_loss), devices.parallel)
        self.optim = optim
        self.optimizer = make_optimizer(self.model, optim)
        self.dtype = _dtype(devices, self.world.device)
        self.seeds = seeds
        """Of what a row draws in the forward pass; a new stage brings its own."""
        self._draws = any(isinstance(module, nn.Dropout) and module.p > 0 for module in self.model.modules())

    def step(self, batch: Batch, *, lr: float, peak: float, weight_decay: float) -> Outcome:
        """Learn from one global batch, of which `batch` holds this process's rows.

        Raises:
            TrainingError: too many steps in a row had to be skipped.
            LostProcessError: another process is gone.
        """
        masked = [places(row) for row in batch.rows]
        (num_predicted,) = self.world.total([sum(len(at) for at, _ in masked)])
        sums, flops = torch.zeros(2, dtype=torch.float64, device=self.world.device), 0.0
        for number, (row, (at, targets)) in enumerate(zip(batch.rows, masked, strict=True), start=1):
            with without_sync(self.objective, when=number < len(batch.rows)):
                prediction = self._predict(row, at, targets)
                # DDP and FSDP take the mean over processes, and we want the sum.
                (prediction.loss_sum * (self.world.size / max(1.0, num_predicted))).backward()
            sums += torch.stack([prediction.loss_sum.detach().double(), prediction.correct.double()])
            flops += 3.0 * forward_flops(self.model.config, row.packed.lengths, num_predicted=prediction.num_predicted)
        norm = global_grad_norm(self.model.parameters())
        loss_sum, num_correct, flops = self.world.total([*sums.tolist(), flops])
        loss, grad_norm = loss_sum / max(1.0, num_predicted), float(norm)
        is_skipped = self.watch.judge(loss, grad_norm) == "skip"
        if not is_skipped:
            self._change_weights(norm, lr=lr, peak=peak, weight_decay=weight_decay)
        self.optimizer.zero_grad(set_to_none=True)
        return Outcome(
            tokens=batch.num_tokens,
            num_predicted=int(num_predicted),
            loss=loss,
            accuracy=num_correct / max(1.0, num_predicted),
            grad_norm=grad_norm,
            is_skipped=is_skipped,
            flops=flops,
        )

    def forget(self) -> None:
        """Begin the optimizer's history anew."""
        self.optimizer = make_optimizer(self.model, self.optim)

    def autocast(self) -> torch.autocast:
        """The number format of matrix products; weights, norms, losses and the optimizer stay float32."""
        return torch.autocast(self.world.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _predict(self, row: MaskedBatch, at: Tensor, targets: Tensor) -> Prediction:
        if self._draws:  # by the row's number: the same for any number of processes, and after any interruption
            torch.manual_seed(self.seeds.for_("dropout", row.row))
        device = self.world.device
        with self.autocast():
            packed = row.packed.to(device)
            return cast(Prediction, self.objective(packed, at.to(device), targets.to(device)))

    def _change_weights(self, norm: Tensor, *, lr: float, peak: float, weight_decay: float) -> None:
        if isinstance(self.optim, AdamW) and self.optim.clip is not None:
            clip(self.model.parameters(), norm, self.optim.clip)
        set_rates(self.optimizer, lr, peak=peak, weight_decay=weight_decay)
        self.optimizer.step()


def places(row: MaskedBatch) -> tuple[Tensor, Tensor]:
    """Where a row's masked tokens are, and what they were; found before the row goes to the device."""
    at = (row.labels != IGNORE).nonzero().squeeze(1)
    return at, row.labels[at]


def _dtype(devices: Devices, device: torch.device) -> torch.dtype:
    if devices.precision == "auto":
        return best_precision(device).dtype
    return torch.bfloat16 if devices.precision == "bfloat16" else torch.float32
