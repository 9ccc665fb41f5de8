"""A model that has room for so many tokens at once and says so as a device does."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from modernbert.ops.packed import Packed

CPU = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."

WAYS: dict[str, Callable[[], Exception]] = {
    "device": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "host": lambda: RuntimeError(CPU),
    "python": MemoryError,
}


class Narrow(nn.Module):
    """Gives every token's id back."""

    def __init__(self, room: int, way: str = "device") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.room = room
        self.way = way
        self.seen: list[int] = []
        """Tokens of each batch that went through."""

    def forward(self, packed: Packed) -> Tensor:
        if packed.num_tokens > self.room:
            raise WAYS[self.way]()
        self.seen.append(packed.num_tokens)
        return packed.ids

    def read(self, packed: Packed) -> list[list[int]]:
        return [ids.tolist() for ids in packed.split(self(packed))]
