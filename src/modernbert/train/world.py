"""The processes of a run: one, or as many as `torchrun` started; torch alone, no launcher of our own.

Collectives on numbers go through the CPU (gloo) even beside GPUs: asking for a loss then waits for nothing but the loss.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import cast

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from modernbert.core.errors import UnsupportedError, UserError
from modernbert.model.encoder import Encoder
from modernbert.model.layers import Layer
from modernbert.train.meeting import fresh_store

PATIENCE = timedelta(minutes=10)
"""How long the others wait for a process before they give the run up."""


class LostProcessError(UserError):
    """A process of the run is gone, and the others cannot go on without it."""

    # Gloo's threads, still at work when Python takes them down, end the process by SIGABRT now and then.
    leaves_at_once = True


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among those of the run."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks to people."""
        return self.rank == 0

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Sums over all processes, in float64; all must ask at the same place."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(sums)
        return sums.tolist()

    def agrees(self, text: str) -> bool:
        """Whether all processes hold the same text; all must ask at the same place, and all get the same answer."""
        number = float(int(sha256(text.encode()).hexdigest()[:10], 16))  # sums of 40 bits are exact
        (total,) = self.total([number])
        return self.total([float(total != number * self.size)]) == [0.0]

    def wait(self) -> None:
        """Until all processes are here."""
        self.total([0.0])

    def spread(self, model: nn.Module, parallel: str) -> nn.Module:
        """`model` so that a backward pass gives every process the mean of all gradients."""
        if self.size == 1:
            return model
        if parallel == "fsdp":
            return shard(model)
        return DistributedDataParallel(model, device_ids=None if self.device.type == "cpu" else [self.device])


@contextmanager
def joined() -> Iterator[World]:
    """The world that `torchrun` described in the environment, left properly at the end; without it, this process alone.

    Where a launcher has already brought the processes together (Ray Train does), they stay together at the end.

    Raises:
        LostProcessError: another process is gone, wherever in the block that is noticed: in any sum, any backward pass.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if has_gpu else torch.device("cpu")
    if has_gpu:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(device=device)
        return
    is_ours = not dist.is_initialized()
    with _explained():
        if is_ours:
            backend = "cpu:gloo,cuda:nccl" if has_gpu else "gloo"
            store = fresh_store(rank, size, PATIENCE)
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        elif "gloo" not in dist.get_backend_config():
            raise UnsupportedError(
                f"the processes were brought together by {dist.get_backend_config()}, expected gloo on the CPU, too, for sums of "
                'numbers: with Ray Train give TorchConfig(backend="cpu:gloo,cuda:nccl")'
            )
        try:
            yield World(rank=rank, size=size, device=device)
        finally:
            if is_ours:
                dist.destroy_process_group()


def shard(model: nn.Module) -> nn.Module:
    """Spread the parameters over the processes (FSDP2): one group a layer, the rest with the root.

    `encode` calls a layer's linear modules and not the layer, so the group is made of those that it calls.
    """
    if not dist.is_initialized():
        raise UnsupportedError(
            "devices.parallel fsdp needs several processes: start with torchrun --nproc-per-node=2 or more"
        )
    for encoder in (module for module in model.modules() if isinstance(module, Encoder)):
        for layer in cast("list[Layer]", encoder.layers):
            called = (layer.attn_norm, layer.attn.Wqkv, layer.attn.Wo, layer.mlp_norm, layer.mlp.Wi, layer.mlp.Wo)
            fully_shard([module for module in called if not isinstance(module, nn.Identity)])
    fully_shard(model)
    return model


@contextmanager
def without_sync(model: nn.Module, *, when: bool) -> Iterator[None]:
    """Collect gradients here only: all but the last of a step's rows."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not when)
        yield
    elif isinstance(model, DistributedDataParallel) and when:
        with model.no_sync():
            yield
    else:
        yield


def as_lost(error: BaseException) -> LostProcessError | None:
    """What to tell if torch means by `error` that another process is gone; gloo has no exception of its own, only its name."""
    if not isinstance(error, dist.DistError) and "gloo" not in str(error):
        return None
    (said, *_) = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return LostProcessError(
        f"another process of this run is gone or does not answer ({said[:160]}): look at its own output, then start the "
        "same command again; it goes on from the last checkpoint"
    )


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        lost = as_lost(error)
        if lost is None:
            raise
        raise lost from error
