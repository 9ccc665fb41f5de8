"""The loss as a module: one `forward` a row, which is what DDP and FSDP hook into.

Shapes:  T tokens in the packed stream   M masked tokens   C tokens of a chunk   D width   V vocabulary
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from modernbert.model.heads import MaskedLM
from modernbert.ops.loss import CHUNK_LOGITS, Prediction
from modernbert.ops.packed import Packed


class Objective(nn.Module):
    """A masked language model and how it is judged."""

    def __init__(self, model: MaskedLM, *, z_loss: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.z_loss = z_loss

    def forward(
        self, packed: Packed, at: Int[Tensor, "M"], targets: Int[Tensor, "M"], *, each: bool = False
    ) -> Prediction | tuple[Float[Tensor, "M"], Tensor]:
        """Summed loss of the tokens `at` these places; with `each`, every token's own loss and whether it was found."""
        if not each:
            return self.model.loss_at(packed, at, targets, z_loss=self.z_loss)
        hidden_MD = self.model.head(self.model.model(packed)[at])
        size = max(1, CHUNK_LOGITS // self.model.config.vocab_size)
        losses, found = [], []
        for x_CD, targets_C in zip(hidden_MD.split(size), targets.split(size), strict=True):
            logits_CV = self.model.decoder(x_CD).float()
            losses.append(F.cross_entropy(logits_CV, targets_C, reduction="none"))
            found.append(logits_CV.argmax(1) == targets_C)
        return torch.cat(losses), torch.cat(found)
