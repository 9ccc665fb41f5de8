"""A second set of modules around the same weights."""

import copy
from itertools import chain
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def twin(module: Module) -> Module:
    """The same weights, not a byte of them copied, in modules of their own.

    For who puts hooks on modules: one on the model itself would be called by every other thread that computes with it, and
    would send it the slow way past the CPU kernels.
    """
    shared = chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in shared})
