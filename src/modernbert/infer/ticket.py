"""What is known of the request that a call is part of: by when it must be answered, and whether anybody still waits.

Who serves holds a ticket while a predictor works; the engine looks for it. Without one, nothing changes.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

_current: ContextVar["Ticket | None"] = ContextVar("ticket", default=None)


class BusyError(Exception):
    """Too much is waiting. Nothing was computed."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until what waits now should be done."""


class LateError(Exception):
    """The deadline has passed."""


class GoneError(Exception):
    """Nobody waits for the answer any more."""


class Ticket:
    """Of one request."""

    def __init__(self, *, deadline: float = math.inf, too_long: Literal["truncate", "refuse"] | None = None) -> None:
        """Open it.

        Args:
            deadline: in seconds of `time.monotonic`.
            too_long: what happens to a text that the model cannot take whole; absent: what the engine was told.
        """
        self.deadline = deadline
        self.too_long: Literal["truncate", "refuse"] | None = too_long
        self.num_tokens = 0
        """Run so far, special ones included."""
        self.is_accepted = False
        """Whether a part of it was: then the others are not refused any more."""
        self._lock = threading.Lock()
        self._is_gone = False
        self._wake: list[threading.Event] = []

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits any more."""
        return self._is_gone

    def leave(self) -> None:
        """Nobody waits any more: what was not computed yet never will be."""
        with self._lock:
            self._is_gone = True
            for event in self._wake:
                event.set()

    @contextmanager
    def waking(self, event: threading.Event) -> Iterator[None]:
        """Set the event when this request leaves."""
        with self._lock:
            self._wake.append(event)
            if self._is_gone:
                event.set()
        try:
            yield
        finally:
            with self._lock:
                self._wake.remove(event)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What runs inside, in this thread, is part of this request."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def current() -> Ticket | None:
    """Of the request that this thread works for."""
    return _current.get()
