"""Randomness by name: every user of chance asks for its own stream, and nobody reseeds anything.

A stream depends on the root seed and on its name only: not on who asked before, not on the number of workers, not on
PYTHONHASHSEED. So a run that resumes in the middle draws what it would have drawn.
"""

from dataclasses import dataclass
from hashlib import blake2b
from operator import index
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True, slots=True)
class Seeds:
    """The root of all randomness of a run.

    >>> seeds = Seeds(17)
    >>> seeds.for_("mask", 0, 3) == Seeds(17).for_("mask", 0, 3)
    True
    >>> seeds.for_("mask", 0, 3) == seeds.for_("mask", 0, "3")
    False
    """

    root: int

    def __post_init__(self) -> None:
        _encode(self.root)

    def for_(self, purpose: str, *names: str | int) -> int:
        """A seed in 0 to 2**63 - 1 for the stream of that name: `seeds.for_("mask", epoch, shard)`.

        Names are told apart by type and by place: 1 is not "1", and ("a", "bc") is not ("ab", "c").

        Raises:
            TypeError: a name is neither text nor a whole number; a bool or a float would collide with one.
        """
        digest = blake2b(digest_size=8)
        for name in (self.root, purpose, *names):
            digest.update(_encode(name))
        return int.from_bytes(digest.digest(), "big") >> 1  # torch's manual_seed takes a signed 64-bit number

    def numpy(self, purpose: str, *names: str | int) -> "Generator":
        """A fresh numpy generator for the stream; asking twice gives the same numbers twice."""
        from numpy.random import PCG64, Generator  # named, because numpy may change what default_rng() gives

        return Generator(PCG64(self.for_(purpose, *names)))


def _encode(name: str | int) -> bytes:
    """Type, length, text: no two lists of names share an encoding."""
    if isinstance(name, bool | float) or not (isinstance(name, str) or hasattr(name, "__index__")):
        raise TypeError(
            f"found {name!r} ({type(name).__name__}), expected text or a whole number to name a random stream"
        )
    kind, text = ("s", name) if isinstance(name, str) else ("i", str(index(name)))
    payload = text.encode("utf-8", "surrogatepass")
    return f"{kind}{len(payload)}:".encode() + payload
