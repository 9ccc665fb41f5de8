"""For what another thread or process does, sooner or later."""

import time
from collections.abc import Callable

WAIT = 120.0
"""Seconds after which a test is lost; a busy machine may need many."""


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
