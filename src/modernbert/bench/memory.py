"""Memory of a process at its peak, and how many documents of one length fit into a budget."""

import ctypes
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from modernbert.core.errors import UserError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_bytes(words: str) -> int:
    """Read "24GB", "500 MB" or "8G"; powers of a thousand, as on a graphics card's box.

    >>> parse_bytes("24GB")
    24000000000

    Raises:
        UserError: not an amount.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", words.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise UserError(f"--budget: found {words!r}, expected an amount of memory such as 24GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def can_measure(device: str) -> bool:
    """Whether a peak can be told here: a GPU's always, a process's on Linux."""
    return device != "cpu" or _CLEAR.exists()


def in_use(device: str) -> int:
    """Bytes that the process holds now."""
    if device != "cpu":
        import torch

        return torch.cuda.memory_allocated()
    return _status("VmRSS")


def peak(device: str) -> int:
    """Bytes that it held at its peak since `begin`."""
    if device != "cpu":
        import torch

        return torch.cuda.max_memory_allocated()
    return _status("VmHWM")


def begin(device: str) -> None:
    """Give back what is free, and let the peak count from here."""
    if device != "cpu":
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)  # glibc's; musl has none, and gives back by itself
    _CLEAR.write_text("5")


def extrapolated(budget: int, counts: Sequence[int], peaks: Sequence[int]) -> int | None:
    """Documents of a batch that fills the budget, by a straight line through two measured batches.

    None where the larger batch took no more than the smaller: then the line says nothing.

    >>> extrapolated(1000, [1, 3], [200, 400])
    9
    """
    (few, many), (low, high) = counts, peaks
    each = (high - low) / (many - few)
    return max(0, int((budget - low) // each + few)) if each > 0 else None


def largest(fits: Callable[[int], bool], *, most: int = 1 << 16) -> int:
    """The largest number that fits, by doubling and halving; 0 when 1 does not.

    >>> largest(lambda number: number <= 11)
    11
    """
    good, bad = 0, 1
    while bad <= most and fits(bad):
        good, bad = bad, bad * 2
    while bad - good > max(1, good // 64):  # one in 64 is nearer than a second run would be
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def _status(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
