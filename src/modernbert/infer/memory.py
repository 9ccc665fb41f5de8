"""How much memory a batch may take: what is free, what a token needs, and how running out of it shows."""

import os
from pathlib import Path

import torch
from torch import nn

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "alloc_failed")
"""In messages of torch's CPU allocator, the C++ library, cuBLAS and cuDNN, which have no exception of their own."""


def most_tokens(model: nn.Module, device: torch.device) -> int | None:
    """Tokens of a batch that fits half of the free memory; absent where the system or the model does not tell.

    Half, because what a token needs is an estimate, and because other programs use memory, too.
    """
    free, needed = free_memory(device), bytes_per_token(model)
    return None if free is None or needed is None else max(1, free // (2 * needed))


def bytes_per_token(model: nn.Module) -> int | None:
    """Activations of one token at their peak; absent for a model whose config does not tell its widths.

    One layer's tensors, for nothing is kept for a backward pass: input, queries, keys and values before and after
    rotation and as attention lays them out, and the gated feed-forward. The test measures it.
    """
    config = getattr(model, "config", None)
    width, gate = (getattr(config, name, None) for name in ("hidden_size", "intermediate_size"))
    if not isinstance(width, int) or not isinstance(gate, int):
        return None
    return next(model.parameters()).dtype.itemsize * (10 * width + 3 * gate)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had on a device, containers' limits included; absent where the system does not tell."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return _free_on_host() if device.type == "cpu" else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how a device, torch or Python says that memory is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def let_go(device: torch.device) -> None:
    """Give the device's cached blocks back, so that smaller ones can be cut from them."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _free_on_host(root: Path = Path("/")) -> int | None:
    """Linux: what the kernel calls available, and the room left in each control group around this process."""
    rooms = [room for room in (_available(root), *_group_rooms(root)) if room is not None]
    if rooms:
        return max(0, min(rooms))
    if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _available(root: Path) -> int | None:
    kilobytes = _field(root / "proc/meminfo", "MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _group_rooms(root: Path) -> list[int | None]:
    """A limit holds for all groups below it, so every group from this process's own up to the top is looked at."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    rooms: list[int | None] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            rooms.append(_group_room(folder))
            if folder == top:
                break
    return rooms


def _group_room(folder: Path) -> int | None:
    """Limit less use, in version 2's or version 1's files; file cache that can be dropped is no use."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = (int((folder / name).read_text()) for name in (limit, used))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        return most - now + (_field(folder / "memory.stat", cache) or 0)
    return None


def _field(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), None)
