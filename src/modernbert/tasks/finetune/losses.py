"""Losses that stock heads do not have, in the form that transformers' `Trainer` calls.

Shapes:  B rows   L columns
"""

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune.examples import Examples, Labelled

Outputs = Mapping[str, Tensor]
Loss = Callable[..., Tensor]


def own_loss(settings: Finetune, examples: Examples) -> Loss | None:
    """The loss of a run, or nothing where the head's own is right."""
    if settings.task == "qa":
        return span_loss
    if settings.class_weights == "none":
        return None
    labels = [cast("int", cast("Labelled", each).target) for each in examples.train]
    counts = np.bincount(labels, minlength=len(examples.labels))
    return _weighted(torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32))


def span_loss(outputs: Outputs, labels: Tensor, num_items_in_batch: int | Tensor | None = None) -> Tensor:
    """Of an answer's first and last token, by a softmax over the row's own tokens.

    Stock's softmax runs over padding, too: its loss of a row depends on the longest one beside it, and reads what is nowhere else
    computed. Without padding both are equal.

    Args:
        outputs: start_logits and end_logits [B, L].
        labels: [B, 3], first token, last token, number of tokens.
        num_items_in_batch: labels of all batches that make up this step; absent: those of this batch.
    """
    first_B, last_B, length_B = labels.unbind(1)
    columns_L = torch.arange(outputs["start_logits"].shape[1], device=labels.device)
    is_pad_BL = columns_L >= length_B[:, None]

    def summed(logits_BL: Tensor, place_B: Tensor) -> Tensor:
        return cross_entropy(logits_BL.float().masked_fill(is_pad_BL, -torch.inf), place_B, reduction="sum")

    both = summed(outputs["start_logits"], first_B) + summed(outputs["end_logits"], last_B)
    num_labels = labels.numel() if num_items_in_batch is None else num_items_in_batch
    return both / 2 / (num_labels / labels.shape[1])


def _weighted(weights: Tensor) -> Loss:
    def loss(outputs: Outputs, labels: Tensor, num_items_in_batch: int | Tensor | None = None) -> Tensor:
        logits = outputs["logits"]
        each = cross_entropy(logits.float(), labels, reduction="none")
        weighed = each * weights.to(each.device)[labels]
        return weighed.sum() / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    return loss
