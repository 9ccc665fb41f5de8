"""What is done with a batch, so that two calls can see that they want the same, and share one."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Read(Generic[Result]):
    """A way to make results of a batch, one a document. Two are equal when their way and what they give it are.

    A bound method is as good where nothing but the batch goes in. A closure works, and never shares.
    """

    how: Callable[..., Sequence[Result]]
    given: tuple[Hashable, ...] = ()

    def __call__(self, batch: object) -> Sequence[Result]:
        """Of one batch."""
        return self.how(batch, *self.given)
