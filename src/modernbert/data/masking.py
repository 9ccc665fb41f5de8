"""Hide some tokens and remember which: BERT's masked language modelling (Devlin et al. 2018, section 3.1).

Numpy only, for loader processes without torch. Unlike the reference trainer's, special tokens are never hidden, and
never come up as a replacement.

Shapes:  T tokens in the packed stream
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from modernbert.core.errors import ConfigError

IGNORE = -100
"""The label of a token that is not predicted; `modernbert.ops.loss.IGNORE` without its torch (a test compares both)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """How many tokens are predicted, and what the model sees in their place."""

    rate: float = 0.3
    """Share of ordinary tokens to predict, each drawn by itself: a short document may get none."""
    mask_share: float = 0.8
    """Of those, the share that shows as [MASK]."""
    random_share: float = 0.1
    """Of those, the share that shows as a random token. The rest shows as it is."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ConfigError(f"masking.rate is {self.rate}, expected a share above 0 and up to 1 (the paper's is 0.3)")
        for name, share in [("mask_share", self.mask_share), ("random_share", self.random_share)]:
            if not 0 <= share <= 1:
                raise ConfigError(f"masking.{name} is {share}, expected a share from 0 to 1")
        if self.mask_share + self.random_share > 1:
            raise ConfigError(
                f"masking.mask_share {self.mask_share} and masking.random_share {self.random_share} are together above 1:"
                " they are shares of the predicted tokens; lower one"
            )


def mask(
    ids: Int[np.ndarray, "T"],
    policy: Masking,
    *,
    special_ids: Collection[int],
    mask_id: int,
    vocabulary: int,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, "T"], Int[np.ndarray, "T"]]:
    """Corrupt a stream: what the model sees, and what it shall predict (`IGNORE` where nothing). Both int64, both new.

    The same state of `rng` gives the same result. Whether a place is predicted depends on `rng` and on special or not,
    never on the other ids.

    Args:
        ids: Any number of documents, in any order; boundaries do not matter here.
        policy: How many, and how.
        special_ids: Never predicted and never a replacement. `mask_id` need not be among them, but counts as special.
        mask_id: What hides a token.
        vocabulary: Replacements are ids below this, special ones left out; so leave out unused ids, which come last:
            `tokenizer.vocab_size - tokenizer.num_unused`.
        rng: `seeds.numpy("mask", ...)` of the run.

    Raises:
        ValueError: `vocabulary` has no ordinary id.
    """
    special = np.unique(np.array([*special_ids, mask_id], dtype=np.int64))
    below = special[(special >= 0) & (special < vocabulary)]
    num_ordinary = vocabulary - below.size
    if num_ordinary < 1:
        raise ValueError(
            f"a vocabulary of {vocabulary} ids, {below.size} of them special, has none to replace tokens with:"
            " expected the number of ids in use"
        )
    chance_T = rng.random(ids.shape)  # one draw a token decides everything, so it is uniform below each threshold
    is_predicted_T = (chance_T < policy.rate) & ~np.isin(ids, special)
    is_hidden_T = is_predicted_T & (chance_T < policy.rate * policy.mask_share)
    is_random_T = is_predicted_T & ~is_hidden_T & (chance_T < policy.rate * (policy.mask_share + policy.random_share))

    inputs_T = ids.astype(np.int64)
    labels_T = np.where(is_predicted_T, inputs_T, IGNORE)
    inputs_T[is_hidden_T] = mask_id
    drawn = rng.integers(num_ordinary, size=np.count_nonzero(is_random_T))
    # The n-th ordinary id is n plus the special ids before it, and the s-th special id has `below[s] - s` ordinary ones before it.
    inputs_T[is_random_T] = drawn + np.searchsorted(below - np.arange(below.size), drawn, side="right")
    return inputs_T, labels_T
