"""Words for the person who watches: progress, notes and warnings, on stderr only. Results belong on stdout.

`MODERNBERT_QUIET=1` silences notes and progress. A warning still appears: a failure is never hidden.
"""

import os
import sys
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modernbert.core._bar import Bar

_warned: set[str] = set()
_lock = Lock()


def say(message: str) -> None:
    """Tell the user one thing, on a line of its own."""
    if not is_quiet():
        _write(message)


def warn_once(key: str, message: str) -> None:
    """Warn the first time this process meets `key`; the same key is silent ever after, whatever its message."""
    with _lock:
        if key in _warned:
            return
        _warned.add(key)
    _write(f"warning: {message}")


def progress(*fields: str) -> "Bar":
    """Bars for long work: a rich `Progress` on stderr, with a column of text for each of the `fields`.

    Where stderr is not a terminal it prints a plain line every ten seconds instead, and one when it closes.

    >>> with progress("loss", "speed") as bar:
    ...     task = bar.add_task("pre-training", total=100)
    ...     bar.update(task, advance=1, loss="2.31", speed="3,120 tokens/s")
    """
    from modernbert.core._bar import Bar  # rich takes 50 ms to import

    if is_quiet():
        return Bar(fields, show="nothing")
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Bar(fields, show="bars" if is_terminal else "lines")


def is_quiet() -> bool:
    """Whether the user asked for silence with `MODERNBERT_QUIET`; 0 and an empty value do not count."""
    return os.environ.get("MODERNBERT_QUIET", "0") not in ("", "0")


def _write(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
