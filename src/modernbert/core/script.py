"""Scripts beside the package end as its command line does: one sentence for the user's mistake, no backtrace."""

import sys
from collections.abc import Callable
from typing import NoReturn

from modernbert.core.errors import UserError


def as_script(main: Callable[[], int | None]) -> NoReturn:
    """Call it, and leave the process: with what it returns, 2 for the user's mistake, 130 where it was stopped.

    >>> as_script(lambda: None)
    Traceback (most recent call last):
    SystemExit: 0
    """
    try:
        code = main() or 0
    except UserError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        code = 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        code = 130
    sys.exit(code)
