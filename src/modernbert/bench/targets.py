"""The devices that a shape is designed for, as data: what each has, and who says so. No torch here.

Peaks are dense (no sparsity) and accumulate in float32, as the encoder's products do. Of the reference's search only
the weights were kept: it counts 144 multiprocessors for the H100 and 60 for the L4, which are the full dies and not
the cards that are sold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modernbert.core.errors import UserError

TILE, TURNED = (128, 256), (256, 128)
"""Rows and columns that one multiprocessor computes at a time, in either order: the largest that cuBLAS has, which both
papers count with (arXiv 2401.14489, section 3; arXiv 2412.13663, appendix B)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One device."""

    name: str
    title: str
    units: int
    """Streaming multiprocessors; of a CPU, cores."""
    peak: float
    """FLOP/s of matrix products in 16 bit, all units together."""
    bandwidth: float
    """Bytes a second from its memory."""
    weight: float
    """How much it counts: the reference's, which favours the cards that serve."""
    source: str
    """Where the figures are from."""
    tiles: tuple[tuple[int, int], ...] = (TILE, TURNED, (128, 128))
    """What a unit computes at a time; the library takes what is fastest for each product."""
    gap: float = 2e-6
    """Seconds between two kernels in which the device does nothing. An assumption, the same for every GPU."""


_SERVES, _TRAINS, _DESK = 1.25, 1.1, 1.0

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            name="t4", title="T4", units=40, peak=65e12, bandwidth=320e9, weight=_SERVES,
            source="NVIDIA Turing architecture whitepaper (float16; it has no bfloat16)",
        ),
        Target(
            name="a10", title="A10", units=72, peak=125e12, bandwidth=600e9, weight=_SERVES,
            source="NVIDIA A10 data sheet; units of the GA102 whitepaper",
        ),
        Target(
            name="l4", title="L4", units=58, peak=121e12, bandwidth=300e9, weight=_SERVES,
            source="NVIDIA L4 data sheet, half of the figure with sparsity; units as CUDA reports them",
        ),
        Target(
            name="3090", title="RTX 3090", units=82, peak=71e12, bandwidth=936e9, weight=_DESK,
            source="NVIDIA Ampere GA102 whitepaper",
        ),
        Target(
            name="4090", title="RTX 4090", units=128, peak=165.2e12, bandwidth=1008e9, weight=_DESK,
            source="NVIDIA Ada GPU architecture whitepaper",
        ),
        Target(
            name="a100", title="A100", units=108, peak=312e12, bandwidth=2039e9, weight=_TRAINS,
            source="NVIDIA A100 data sheet, 80 GB SXM",
        ),
        Target(
            name="h100", title="H100", units=132, peak=989e12, bandwidth=3350e9, weight=_TRAINS,
            source="NVIDIA H100 data sheet, 80 GB SXM, half of the figure with sparsity",
        ),
    )
}  # fmt: skip
"""The paper's basket."""

CPU = "cpu"
"""The name of the machine that runs this, whose figures are measured."""


def targets_named(names: Sequence[str]) -> tuple[Target, ...]:
    """Those devices, in that order; `cpu` measures this machine, which takes a second.

    Raises:
        UserError: an unknown name, or none.
    """
    known = [*TARGETS, CPU]
    if not names:
        raise UserError(f"found no target, expected some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UserError(f"target {name!r}: found no such device; there are {', '.join(known)}")
    return tuple(_this_cpu() if name == CPU else TARGETS[name] for name in dict.fromkeys(names))


def _this_cpu() -> Target:
    import torch

    from modernbert.bench.bandwidth import copy_rate
    from modernbert.model.precision import best_precision
    from modernbert.ops.roofline import matmul_rate

    precision = best_precision(torch.device("cpu"))
    return Target(
        name=CPU,
        title="this CPU",
        units=torch.get_num_threads(),
        peak=matmul_rate(precision.dtype),
        bandwidth=copy_rate(),
        weight=_SERVES,
        source=f"measured just now in {precision.name}",
        tiles=((32, 64), (64, 32)),  # about what the register blocks of oneDNN and MKL come in; it hardly matters here
        gap=10e-6,  # what an operator of PyTorch takes before it computes
    )
