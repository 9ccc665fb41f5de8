"""Where the time of our training step goes, by torch.profiler: each operation counts for the part of the model it serves."""

from collections import defaultdict
from collections.abc import Iterable

from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from contenders import Ours

PARTS = {
    "data": ("## data",),
    "optimizer": ("Optimizer.step", "aten::_foreach_norm", "aten::linalg_vector_norm", "## weights"),
    "decoder and loss": ("_ChunkedLoss",),
    "attention": ("_Attend", "scaled_dot_product", "ScaledDotProduct"),
    "attention's copies": (
        "unfold",
        "Unfold",
        "aten::pad",
        "ConstantPad",
        "aten::index",
        "Index",
        "aten::cat",
        "CatBackward",
    ),
    "rotary": ("_Split", "_Rotate"),
    "norms": ("layer_norm", "LayerNorm"),
    "activation and gate": ("gelu", "Gelu", "aten::mul", "MulBackward", "CompiledFunction", "## Call CompiledFxGraph"),
    "linear": ("aten::linear", "Addmm", "MmBackward", "LinearBackward"),
    "adding up gradients": ("AccumulateGrad",),
}
"""Parts and the operations that belong to them, looked for in this order; what an operation calls belongs to it."""


def where_time_goes(ours: Ours, *, steps: int = 2) -> list[str]:
    """A table of shares of the time of `steps` steps, after one that is not counted."""
    ours.step()
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for _ in range(steps):
            with record_function("## data"):
                batch = ours.loader.take(1)
            ours.learn(batch)
    shares = _shares(watched.events() or [])
    lines = ["| part | share |", "|---|---:|"]
    return lines + [f"| {part} | {share:.1%} |" for part, share in sorted(shares.items(), key=lambda item: -item[1])]


def _shares(events: Iterable[FunctionEvent]) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        spent[_part(event)] += event.self_cpu_time_total
    total = sum(spent.values())
    return {part: time / total for part, time in spent.items()}


def _part(event: FunctionEvent) -> str:
    """Of the outermost operation that has one."""
    names = []
    above: FunctionEvent | None = event
    while above is not None:
        names.append(above.name)
        above = above.cpu_parent
    for name in reversed(names):
        for part, beginnings in PARTS.items():
            if any(beginning in name for beginning in beginnings):
                return part
    return "other"
