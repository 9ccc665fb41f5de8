"""Peak memory of a piece of work, in a process where nothing else was done; Linux only."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path


def growth(run: Callable[[], object]) -> float:
    """MB that `run` adds to this process at its peak."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1e3


def _status(name: str) -> float:
    """In kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name))
