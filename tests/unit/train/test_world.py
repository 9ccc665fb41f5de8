"""One process is a world of its own; several are met in tests/system/test_pretrain_ranks.py."""

from datetime import timedelta
from hashlib import sha256

import pytest
import torch
import torch.distributed as dist
from torch import nn

from modernbert.core.errors import UnsupportedError
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.train.world import LostProcessError, World, as_lost, joined, shard, without_sync
from support.tiny import tiny_config


def test_one_process_asks_nobody():
    world = World()
    assert world.is_first
    assert world.total([1.5, 2.0]) == [1.5, 2.0]
    world.wait()
    model = nn.Linear(2, 2)
    assert world.spread(model, "ddp") is model
    assert world.spread(model, "fsdp") is model


def test_without_torchrun_the_world_is_this_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as world:
        assert (world.rank, world.size, dist.is_initialized()) == (0, 1, False)


def test_processes_that_a_launcher_brought_together_stay_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with joined() as world:
            assert world.size == 2
        assert dist.is_initialized()
        monkeypatch.setattr(dist, "get_backend_config", lambda: "cpu:mpi,cuda:nccl")
        with pytest.raises(UnsupportedError, match=r'give TorchConfig\(backend="cpu:gloo,cuda:nccl"\)'), joined():
            pass
    finally:
        dist.destroy_process_group()


def test_agreeing_is_with_everybody_else(monkeypatch):
    others: list[str] = []

    def together(self, numbers):
        """As if a process with each text were there."""
        (mine,) = numbers
        if mine in (0.0, 1.0):
            return [mine]
        return [mine + sum(float(int(sha256(text.encode()).hexdigest()[:10], 16)) for text in others)]

    monkeypatch.setattr(World, "total", together)
    for others[:], expected in ((["a"], True), (["b"], False), (["a", "a", "ä"], False), (["a", "a", "a"], True)):
        assert World(size=1 + len(others)).agrees("a") is expected


def test_a_plain_model_collects_gradients_with_and_without_sync():
    model = nn.Linear(2, 2)
    with without_sync(model, when=True):
        model(torch.ones(1, 2)).sum().backward()
    assert model.weight.grad is not None


def test_sharding_needs_several_processes():
    with pytest.raises(UnsupportedError, match="fsdp needs several processes: start with torchrun --nproc-per-node=2"):
        shard(fresh(tiny_config(), MaskedLM))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1"
        ),
        dist.DistNetworkError("The client socket has timed out"),
        dist.DistBackendError("NCCL error: unhandled"),
    ],
    ids=["gloo", "network", "nccl"],
)
def test_a_lost_process_is_told_in_one_sentence(error):
    lost = as_lost(error)
    assert isinstance(lost, LostProcessError)
    assert str(lost).startswith("another process of this run is gone or does not answer (")
    assert str(lost).endswith("start the same command again; it goes on from the last checkpoint")
    assert "\n" not in str(lost)


def test_our_own_mistakes_are_not_blamed_on_others():
    assert as_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert as_lost(torch.OutOfMemoryError("CUDA out of memory")) is None


def test_a_process_that_nobody_joins_says_so(monkeypatch):
    """Nobody listens at that port, and this one is not the first, who would."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("modernbert.train.world.PATIENCE", timedelta(seconds=1))
    with pytest.raises(LostProcessError, match="does not answer"), joined():
        pass
