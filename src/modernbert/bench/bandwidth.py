"""What this machine's memory gives: the other wall beside `ops.roofline`'s, for work that computes little."""

import time

import torch


def copy_rate(*, num_bytes: int = 1 << 27, seconds: float = 0.2, device: str = "cpu") -> float:
    """Bytes a second of a copy in the device's memory, read and written both counted: the best over at least `seconds`.

    The block is larger than the caches of most processors; where it is not, the figure is the cache's.
    """
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or best == float("inf"):
        start = time.perf_counter()
        target.copy_(source)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * num_bytes / best
