"""How large the largest tensor was that a piece of code made."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LargestTensor(TorchDispatchMode):
    """Watches every operation, those of the backward pass too; views of what was there already are free."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.made_by = ""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {storage_of(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        made = func(*args, **(kwargs or {}))
        for x in tree_leaves(made):
            if isinstance(x, torch.Tensor) and storage_of(x) not in given:
                numbers = x.untyped_storage().nbytes() // x.element_size()
                if numbers > self.numbers:
                    self.numbers, self.made_by = numbers, f"{func} {tuple(x.shape)}"
        return made


def storage_of(x: torch.Tensor) -> int:
    return x.untyped_storage()._cdata
