"""A folder that all processes of one run of the suite share, for what is made once and used by each of them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp


@cache
def shared_folder() -> Path:
    """The same in every worker of pytest-xdist; without it, this process's own."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return Path(mkdtemp(prefix="modernbert-tests-"))
    folder = Path(gettempdir()) / f"modernbert-tests-{run}"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One process at a time, among those of this run that ask for the name."""
    with (shared_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
