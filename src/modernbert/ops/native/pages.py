"""Memory that a file holds as well: weights opened from safetensors need none while nobody reads them."""

import ctypes
import mmap
import sys
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

_PAGE_OUT = 21
"""MADV_PAGEOUT of Linux 5.4 and later: give the pages back, and lose nothing; they are read from the file when touched."""


def let_go(tensors: Iterable[Tensor]) -> int:
    """Give back the pages of those tensors that lie in a mapped file; returns their bytes. Does nothing off Linux."""
    if not sys.platform.startswith("linux"):
        return 0
    mapped = _file_mappings()
    starts = [start for start, _ in mapped]
    advise = ctypes.CDLL(None).madvise
    given_back = 0
    for tensor in tensors:
        place = bisect_right(starts, tensor.data_ptr()) - 1
        if place < 0 or tensor.data_ptr() + tensor.nbytes > mapped[place][1]:
            continue
        first = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        size = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
        if size > 0 and advise(ctypes.c_void_p(first), ctypes.c_size_t(size), ctypes.c_int(_PAGE_OUT)) == 0:
            given_back += size
    return given_back


def _file_mappings() -> list[tuple[int, int]]:
    """First and last address of every mapped file, in order."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, _, _, inode, *_ = line.split()
        if inode != "0":
            start, _, end = addresses.partition("-")
            found.append((int(start, 16), int(end, 16)))
    return sorted(found)
