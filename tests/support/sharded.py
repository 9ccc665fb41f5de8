"""One of several processes that train a small encoder with FSDP2: python sharded.py FOLDER RANK WORLD.

The first writes what came out, one FOLDER/KIND.pt an optimizer; `train` is also what one process alone does.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from modernbert.train.config import AdamW, Muon, Optim, StableAdamW
from modernbert.train.optimizer import clip, global_grad_norm, make_optimizer, set_rates

SETTINGS: dict[str, Optim] = {
    "stable-adamw": StableAdamW(lr=1e-2, weight_decay=9e-4),
    "adamw": AdamW(lr=1e-2, weight_decay=9e-4, clip=0.5),
    "muon": Muon(lr=1e-2, weight_decay=9e-4),
}


class Block(nn.Module):
    """The parameters of a layer, with row counts that two devices cannot share evenly, and one with a single row."""

    def __init__(self) -> None:
        super().__init__()
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.Wqkv, self.attn.Wo = nn.Linear(5, 15, bias=False), nn.Linear(5, 5)
        self.mlp.Wi, self.mlp.Wo = nn.Linear(5, 14, bias=False), nn.Linear(7, 5, bias=False)
        self.mlp_norm = nn.LayerNorm(5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Not attention, but every parameter gets a gradient."""
        q, k, v = self.attn.Wqkv(x).chunk(3, -1)
        x = x + self.attn.Wo(q * k.sigmoid() + v)
        gate, up = self.mlp.Wi(self.mlp_norm(x)).chunk(2, -1)
        return x + self.mlp.Wo(gate.tanh() * up)


class Small(nn.Module):
    """Embeddings, two layers, a decoder that shares its weight, and a parameter of one row."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(11, 5)
        self.layers = nn.ModuleList([Block(), Block()])
        self.decoder = nn.Linear(5, 11)
        self.decoder.weight = self.embeddings.weight
        self.last = nn.Linear(11, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """One number a token."""
        x = self.embeddings(ids)
        for layer in self.layers:
            x = layer(x)
        return self.last(self.decoder(x))


def small() -> Small:
    """Always with the same weights."""
    torch.manual_seed(3)
    return Small()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, settings: Optim, steps: range) -> list[float]:
    """The same batch for every process, so that averaging gradients over them changes nothing; norms come back."""
    norms = []
    for step in steps:
        torch.manual_seed(100 + step)
        loss = model(torch.randint(0, 11, (30,))).square().mean() * (50.0 if step == 6 else 1.0)  # a shock at 6
        loss.backward()
        norm = global_grad_norm(model.parameters())
        norms.append(float(norm))
        if isinstance(settings, AdamW) and settings.clip is not None:
            clip(model.parameters(), norm, settings.clip)
        lr = settings.lr * (1 - step / 20)
        set_rates(optimizer, lr, peak=settings.lr, weight_decay=settings.weight_decay)
        optimizer.step()
        optimizer.zero_grad()
    return norms


def _main(folder: Path, rank: int, world: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    mesh = distributed.init_device_mesh("cpu", (world,))
    for kind, settings in SETTINGS.items():
        model = small()
        for layer in model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        norms = train(model, make_optimizer(model, settings), settings, range(10))
        weights = {}
        for name, parameter in model.named_parameters():
            assert isinstance(parameter, DTensor)
            weights[name] = parameter.full_tensor().detach()
        if rank == 0:
            torch.save({"norms": norms, "weights": weights}, folder / f"{kind}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
