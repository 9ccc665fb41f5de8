"""Batches of one model: how many tokens they may have, and what happens when memory runs out in one."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from modernbert.core.errors import UserError, first_line
from modernbert.core.log import warn_once
from modernbert.infer.budget import Search
from modernbert.infer.memory import is_out_of_memory, let_go
from modernbert.ops.packed import Packed

Result = TypeVar("Result")

_MEMORY = 0.8
"""What remains of the rate measured so far with every batch."""


class Batches:
    """Runs them one at a time, and learns from each. State: the search for the best budget, and the rate of late."""

    def __init__(self, device: torch.device, search: Search, most: int) -> None:
        """Begin.

        Args:
            most: tokens that memory has room for.
        """
        self.device = device
        self.most = most
        self._search = search
        self._tokens = self._seconds = 0.0

    @property
    def budget(self) -> int:
        """Tokens of the next batch."""
        return min(self._search.next(), self.most)

    @property
    def rate(self) -> float:
        """Tokens a second of late; infinite before the first batch."""
        return self._tokens / self._seconds if self._seconds else float("inf")

    def run(
        self,
        read: Callable[[Packed], Sequence[Result]],
        documents: Sequence[list[int]],
        *,
        budget: int,
        number: int | None = None,
    ) -> list[Result] | None:
        """A batch's results; none when memory ran out: then the next budget is smaller, and the batch is to be cut.

        Args:
            budget: that it was filled to.
            number: of its only document among the caller's, to name it by.

        Raises:
            UserError: a single document is too large for memory.
        """
        tokens, start = sum(map(len, documents)), time.perf_counter()
        found = self._attempt(read, documents)
        if isinstance(found, str):
            self._shrink(found, tokens, number if len(documents) == 1 else None)
            return None
        seconds = time.perf_counter() - start
        self._search.note(budget, tokens, seconds)
        self._tokens = _MEMORY * self._tokens + tokens
        self._seconds = _MEMORY * self._seconds + seconds
        return found

    def _attempt(
        self, read: Callable[[Packed], Sequence[Result]], documents: Sequence[list[int]]
    ) -> list[Result] | str:
        """A batch's results, or what was said when memory ran out. Then nothing holds on to the batch any more."""
        try:
            with torch.inference_mode():
                results = list(read(Packed.from_lists(documents, device=self.device)))
            if self.device.type == "cuda" and not self._search.is_settled:
                torch.cuda.synchronize(self.device)  # results may still be on the device, and under way
            return results
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return first_line(error)

    def _shrink(self, said: str, tokens: int, alone: int | None) -> None:
        if alone is not None:
            raise UserError(
                f"text {alone} has {tokens:,} tokens and does not fit in memory even alone ({said}): free some memory, "
                "cut it, or load the model in half precision"
            )
        let_go(self.device)
        self._search.shrink(tokens)
        warn_once(
            "infer.out-of-memory",
            f"memory ran out in a batch of {tokens:,} tokens: going on with {self._search.best:,} or fewer, nothing is lost "
            f"({said})",
        )
