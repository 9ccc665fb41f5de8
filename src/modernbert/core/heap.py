"""Large blocks of memory are kept for the next step, instead of given back to the system and asked for again.

glibc maps every block beyond 32 MB anew and unmaps it when it is freed. A training step on a CPU frees and takes the same large
blocks again and again, and each time the system clears every page of them: up to a third of the time, in the system.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 2**31 - 1  # mallopt takes an int


def keep_large_blocks() -> bool:
    """From now on, in this process; its memory stays as large as it once was. False where the C library cannot (not glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return mallopt(_MMAP_THRESHOLD, 2**30) == 1 and mallopt(_TRIM_THRESHOLD, _LARGEST) == 1
