"""How a sentence-transformers folder wants one vector a text to be made of one a token.

Shapes:  T tokens   N documents   D width
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.core.errors import UnsupportedError
from modernbert.model.pool import Pooling, pool
from modernbert.ops.packed import Packed
from modernbert.retrieval.folder import Step

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How releases before 5.4 say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Which tokens count, and how."""

    how: Pooling
    with_prompt: bool = True
    """Whether a prompt's tokens, and the [CLS] before them, count as well."""

    @classmethod
    def of(cls, step: Step) -> "Pool":
        """From a folder's settings.

        Raises:
            UnsupportedError: it pools in a way that is not built.
        """
        settings = step.settings
        found = settings.get("pooling_mode")
        if found is None:
            found = [mode for flag, mode in _FLAGS.items() if settings.get(flag)] or ["mean"]
        modes = [found] if isinstance(found, str) else list(cast("list[str]", found))
        if len(modes) != 1 or modes[0] not in ("cls", "mean"):
            raise UnsupportedError(
                f"{step.folder or Path()}: found the pooling {' + '.join(map(str, modes))}, expected cls or mean, which "
                "ModernBERT embedders use: open this model with sentence-transformers and modernbert.accelerate"
            )
        return cls(how=cast("Pooling", modes[0]), with_prompt=bool(settings.get("include_prompt", True)))

    def step(self, width: int) -> Step:
        """To be written, in words that old and new releases read."""
        flags: Mapping[str, bool] = {flag: mode == self.how for flag, mode in _FLAGS.items()}
        settings = {"word_embedding_dimension": width, **flags, "include_prompt": self.with_prompt}
        return Step(kind="Pooling", settings=settings)

    def __call__(self, hidden: Float[Tensor, "T D"], packed: Packed, prompt_length: int = 0) -> Float[Tensor, "N D"]:
        """One row a document.

        Args:
            prompt_length: tokens before the text, [CLS] included; they count only where the folder says so.
        """
        if self.with_prompt or prompt_length == 0:
            return pool(hidden, packed, self.how)
        skipped = [
            min(prompt_length, length - 1) for length in packed.lengths
        ]  # of a text cut to its prompt, [SEP] is left
        starts = torch.tensor(packed.offsets[:-1]) + torch.tensor(skipped)
        if self.how == "cls":
            return hidden.index_select(0, starts.to(hidden.device))
        counted_T = packed.positions >= torch.tensor(skipped, device=hidden.device)[packed.documents]
        exact = torch.promote_types(hidden.dtype, torch.float32)
        sums_ND = hidden.new_zeros((packed.num_documents, hidden.shape[1]), dtype=exact)
        sums_ND = sums_ND.index_add(0, packed.documents, hidden.to(exact) * counted_T[:, None])
        counts_N = torch.tensor(
            [n - skip for n, skip in zip(packed.lengths, skipped, strict=True)], device=hidden.device
        )
        return (sums_ND / counts_N[:, None]).to(hidden.dtype)
