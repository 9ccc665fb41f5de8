"""Masked-token cross-entropy through the decoder, without ever holding [T, V] logits.

At 30 % masking and V = 50,368 the logits of one 8 x 1,024 batch would be 1.6 GB; in chunks they are a few dozen MB.
Gradients are taken chunk by chunk in the forward pass (the idea of Liger's fused linear cross-entropy).

Shapes:  T tokens   M masked tokens   C tokens of a chunk   D width   V vocabulary
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

IGNORE = -100
"""The label of a token that is not predicted, as everywhere in the field."""

CHUNK_LOGITS = 1 << 24
"""Logits held at once: 16 M, 64 MB in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What a batch of predicted tokens came to; sums, so that batches and devices can be added exactly."""

    loss_sum: Float[Tensor, ""]
    """Summed cross-entropy (plus z-loss) in nats, float32 or float64; carries the gradient."""
    num_predicted: int
    """M."""
    correct: Int[Tensor, ""]
    """How many of them the largest logit got right; on the device, for asking waits for it."""

    @property
    def num_correct(self) -> int:
        """`correct` as a plain number."""
        return int(self.correct)

    @property
    def loss(self) -> Float[Tensor, ""]:
        """Mean over predicted tokens; zero, not NaN, when there are none."""
        return self.loss_sum / max(1, self.num_predicted)


def masked_cross_entropy(
    hidden: Float[Tensor, "M D"],
    targets: Int[Tensor, "M"],
    weight: Float[Tensor, "V D"],
    bias: Float[Tensor, "V"] | None = None,
    *,
    z_loss: float = 0.0,
) -> Prediction:
    """Cross-entropy of `hidden @ weight.T + bias` against `targets`, summed over the M tokens.

    Pass only the tokens to predict: `hidden[labels != IGNORE]`, before the prediction head. `z_loss` adds
    z_loss * logsumexp(logits)^2 a token (PaLM, arXiv 2204.02311, section 5), which keeps logits near zero.

    Raises:
        ValueError: a target is not in the vocabulary.
    """
    # On a GPU looking would wait for the device; there the kernel's own check stops.
    if (
        targets.device.type == "cpu"
        and targets.numel()
        and not 0 <= int(targets.min()) <= int(targets.max()) < weight.shape[0]
    ):
        worst = int(targets.min()) if int(targets.min()) < 0 else int(targets.max())
        raise ValueError(f"target {worst} is outside the vocabulary of {weight.shape[0]}: drop ignored tokens first")
    parts = hidden, targets, weight, bias, z_loss, torch.is_grad_enabled()
    loss_sum, correct = _ChunkedLoss.apply(*parts)  # type: ignore[misc]
    return Prediction(loss_sum=loss_sum, num_predicted=targets.numel(), correct=correct)


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden_MD: Tensor,
        targets_M: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        z_loss: float,
        grad_enabled: bool,  # autograd says which inputs require gradients even where nobody will ask for them
    ) -> tuple[Tensor, Tensor]:
        needs = [grad_enabled and needed for needed in ctx.needs_input_grad]  # type: ignore[attr-defined]
        needs_hidden, _, needs_weight, needs_bias, *_ = needs
        exact = torch.promote_types(hidden_MD.dtype, torch.float32)
        loss_sum, num_correct = hidden_MD.new_zeros((), dtype=exact), targets_M.new_zeros(())
        grad_hidden_MD = torch.empty_like(hidden_MD) if needs_hidden else None
        grad_weight_VD = torch.zeros_like(weight_VD, dtype=exact) if needs_weight else None
        grad_bias_V = weight_VD.new_zeros(weight_VD.shape[0], dtype=exact) if needs_bias else None
        size = max(1, CHUNK_LOGITS // weight_VD.shape[0])
        for start in range(0, targets_M.numel(), size):
            chunk = slice(start, start + size)
            x_CD, targets_C1 = hidden_MD[chunk], targets_M[chunk, None]
            logits_CV = F.linear(x_CD, weight_VD, bias_V).to(exact)
            num_correct += (logits_CV.argmax(1, keepdim=True) == targets_C1).sum()
            logsumexp_C1 = logits_CV.logsumexp(1, keepdim=True)
            loss_sum += (logsumexp_C1 - logits_CV.gather(1, targets_C1) + z_loss * logsumexp_C1**2).sum()
            if not (needs_hidden or needs_weight or needs_bias):
                continue
            grad_CV = logits_CV.sub_(logsumexp_C1).exp_()  # softmax, in the logits' own memory
            if z_loss:
                grad_CV *= 1.0 + 2.0 * z_loss * logsumexp_C1
            grad_CV.scatter_add_(1, targets_C1, torch.full_like(logsumexp_C1, -1.0))
            if grad_bias_V is not None:
                grad_bias_V += grad_CV.sum(0)
            grad_CV = grad_CV.to(hidden_MD.dtype)
            if grad_hidden_MD is not None:
                grad_hidden_MD[chunk] = grad_CV @ weight_VD
            if grad_weight_VD is not None:
                _add_product(grad_weight_VD, grad_CV.T, x_CD)
        ctx.save_for_backward(grad_hidden_MD, grad_weight_VD, grad_bias_V)  # type: ignore[arg-type] (torch takes None)
        ctx.dtypes = (weight_VD.dtype, None if bias_V is None else bias_V.dtype)  # type: ignore[attr-defined]
        ctx.mark_non_differentiable(num_correct)
        return loss_sum, num_correct

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        hidden_MD, weight_VD, bias_V = ctx.saved_tensors  # type: ignore[attr-defined]
        weight_dtype, bias_dtype = ctx.dtypes  # type: ignore[attr-defined]
        return (
            None if hidden_MD is None else hidden_MD * grad.to(hidden_MD.dtype),
            None,
            None if weight_VD is None else (weight_VD * grad).to(weight_dtype),
            None if bias_V is None else (bias_V * grad).to(bias_dtype),
            None,
            None,
        )


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right. The product alone would be [V, D], which is larger than a chunk of logits."""
    is_alike = left.dtype == right.dtype == total.dtype
    if is_alike and not torch.is_autocast_enabled(left.device.type):  # which takes `@` to half precision, not `addmm_`
        total.addmm_(left, right)
    else:
        total += left @ right
