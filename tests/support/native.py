"""The CPU kernels in tests: skipped where there are none, which is a proper state of a machine and not a fault."""

from contextlib import contextmanager

import pytest
import torch

from modernbert.ops.native.library import why_not

needs_native = pytest.mark.skipif(why_not() is not None, reason=f"no CPU kernels here: {why_not()}")


@contextmanager
def on_threads(count):
    """PyTorch, and the kernels with it, compute on so many."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
