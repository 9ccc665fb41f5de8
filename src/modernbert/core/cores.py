"""Which cores there are to work on."""

import os


def cores() -> list[int]:
    """Those that this process may use: a container's or a task set's share, not the machine's."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
