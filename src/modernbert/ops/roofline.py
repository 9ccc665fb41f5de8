"""What this machine's matrix multiplication reaches: the wall that every throughput figure is measured against."""

import time

import torch


def matmul_rate(dtype: torch.dtype = torch.float32, device: str = "cpu", *, seconds: float = 0.4) -> float:
    """FLOP/s of the linear layers' own product, [2048, 768] x [768, 2304]: the median over at least `seconds`.

    Off a CPU sixteen times the rows: a GPU is through with these before the next product is asked for.
    A busy neighbour lowers it, as it lowers everything else: measure on a quiet machine.
    """
    rows, inner, columns = 2048 if device == "cpu" else 32_768, 768, 2304
    x = torch.randn(rows, inner, device=device, dtype=dtype)
    weight = torch.randn(columns, inner, device=device, dtype=dtype)
    times: list[float] = []
    with torch.inference_mode():
        torch.nn.functional.linear(x, weight)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds or len(times) < 3:
            _wait(device)
            start = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            _wait(device)
            times.append(time.perf_counter() - start)
    return 2 * rows * inner * columns / sorted(times)[len(times) // 2]


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
