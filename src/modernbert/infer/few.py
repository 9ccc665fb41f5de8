"""What few texts are, and how NumPy begins where only they are to be computed. Nothing heavy here: it has to come first."""

import os
import sys
from collections.abc import Sequence

Given = str | tuple[str, str]
"""A text, or a pair of texts."""

MOST_TEXTS = 256
"""Each has a little Python of its own in every layer."""

MOST_CHARACTERS = 1 << 15
"""Of all texts: more are not even tokenised to see how many tokens they are."""

_THREADS = "OPENBLAS_NUM_THREADS"
_SAID_BY = (_THREADS, "GOTO_NUM_THREADS", "OMP_NUM_THREADS")


def are_few(texts: Sequence[Given]) -> bool:
    """Whether a process may be done with them before torch is imported; `open_instant` looks closer."""
    return len(texts) <= MOST_TEXTS and sum(map(_size, texts)) <= MOST_CHARACTERS


def begin(texts: Sequence[Given]) -> None:
    """Import NumPy for few texts with one thread for its products, unless the environment asks for more.

    Products of few tokens take microseconds, and threads that wait for each other where others compute, too, take ten times
    as long as one. OpenBLAS can be told so once, before it is loaded.
    """
    if "numpy" in sys.modules or any(name in os.environ for name in _SAID_BY) or not are_few(texts):
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_THREADS]  # what this process starts may want them all


def _size(text: Given) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))
