"""Peak memory of a piece of work, in a process where nothing else was done."""

import gc
from collections.abc import Callable

from modernbert.bench import memory


def growth(run: Callable[[], object], device: str = "cpu") -> float:
    """MB that `run` adds at its peak, to this process or on a GPU."""
    gc.collect()
    memory.begin(device)
    before = memory.in_use(device)
    run()
    return (memory.peak(device) - before) / 1e6
