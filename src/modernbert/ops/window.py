"""Who sees whom: the one place that knows the inclusive ±64 convention.

`local_attention: 128` in a config means 64 tokens to each side, both ends included, plus the token itself
(129 keys). Flash kernels, transformers and the paper count differently; everything of ours asks a `Window`.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Window:
    """A query at position p sees the keys of its own document in [p - left, p + right], ends included.

    Both sides absent: no limit, the whole document is seen.
    """

    left: int | None
    right: int | None

    def __post_init__(self) -> None:
        if (self.left is None) != (self.right is None):
            raise ValueError(f"a window has two ends or none: found {self}; use Window.both(n) or Window.full()")
        if self.left is not None and self.right is not None and min(self.left, self.right) < 0:
            raise ValueError(f"a window's ends are numbers of tokens: found {self}, expected 0 or more")

    @classmethod
    def both(cls, reach: int) -> "Window":
        """See `reach` tokens to each side."""
        return cls(reach, reach)

    @classmethod
    def full(cls) -> "Window":
        """See the whole document."""
        return cls(None, None)

    @property
    def is_full(self) -> bool:
        """Nothing is hidden inside a document."""
        return self.left is None

    def spans(self, distance: int) -> bool:
        """Two tokens `distance` positions apart see each other, so a document of that spread has no hidden pair."""
        return self.left is None or self.right is None or distance <= min(self.left, self.right)

    def allows(self, queries: Int[Tensor, "*q"], keys: Int[Tensor, "*k"]) -> Bool[Tensor, "*qk"]:
        """Which key positions are seen from which query positions; the two broadcast against each other."""
        ahead = keys - queries
        if self.left is None or self.right is None:
            return (ahead == ahead).expand(ahead.shape)
        return (ahead >= -self.left) & (ahead <= self.right)
