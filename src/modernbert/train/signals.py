"""Being told to stop: by a cluster's SIGTERM or by Ctrl-C. The step that runs is finished, and the run is saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from modernbert.core.log import say


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether somebody asked to stop; a second Ctrl-C stops at once.

    Signals reach the main thread only, so elsewhere nobody can ask.
    """
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        say(f"{signal.Signals(number).name}: finishing this step and saving")

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
