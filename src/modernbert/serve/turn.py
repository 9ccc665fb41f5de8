"""One at a time, for work that goes past the desk; who waits heeds the ticket that the thread holds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from modernbert.infer.ticket import GoneError, LateError, Ticket, current

_LOOK_S = 0.05
"""How often who waits looks whether it still has to."""


class Turn:
    """Threads take it in no promised order."""

    def __init__(self) -> None:
        self._lock = Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait until nobody else has it.

        Raises:
            LateError: the ticket's deadline passed while waiting.
            GoneError: its request left while waiting.
        """
        ticket = current() or Ticket()
        while not self._lock.acquire(timeout=_LOOK_S):
            if ticket.is_gone:
                raise GoneError
            if time.monotonic() >= ticket.deadline:
                raise LateError
        try:
            yield
        finally:
            self._lock.release()
