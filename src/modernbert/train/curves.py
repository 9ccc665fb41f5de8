"""A run as a picture: loss, held-out loss, learning rate and speed over the tokens read, stage by stage."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from modernbert.core.errors import require
from modernbert.core.files import write_atomically
from modernbert.train.journal import read_metrics

SMOOTH = 20
"""Steps of a running mean."""


def draw(run: Path, *, dpi: int = 110) -> Path:
    """Write `curves.png` beside the metrics of a run, nine inches wide, and return its path.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="train")
    from matplotlib.figure import Figure

    steps, evaluations = read_metrics(run, "step"), read_metrics(run, "evaluation")
    figure = Figure(figsize=(9, 9), layout="constrained")
    loss, found, rate, speed = figure.subplots(4, 1, sharex=True, height_ratios=[3, 2, 1, 1])
    tokens = np.array([step["tokens"] for step in steps]) / 1e6
    losses = np.array([step["loss"] for step in steps], dtype=float)  # null, of a skipped step, becomes nan
    loss.plot(tokens, losses, color="#b9c9d8", linewidth=0.8, label="masked loss, each step")
    width = min(SMOOTH, len(steps))
    smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
    loss.plot(tokens[width - 1 :], smooth, color="#1f5f99", linewidth=1.8, label=f"mean of {width} steps")
    for name in _sources(evaluations):
        at = [line["tokens"] / 1e6 for line in evaluations if name in line]
        loss.plot(
            at,
            [line[name]["loss"] for line in evaluations if name in line],
            "o-",
            markersize=3,
            label=f"held out: {name}",
        )
        found.plot(
            at, [100 * line[name]["accuracy"] for line in evaluations if name in line], "o-", markersize=3, label=name
        )
    rate.plot(tokens, [step["lr"] for step in steps], color="#7a4fa3")
    speed.plot(tokens, [step["tokens_per_second"] for step in steps], color="#4f8f5b", linewidth=0.8)
    for axis, label in [
        (loss, "nats a masked token"),
        (found, "% of masked found"),
        (rate, "learning rate"),
        (speed, "tokens/s"),
    ]:
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        for border in _borders(steps):
            axis.axvline(border / 1e6, color="#999999", linestyle=":", linewidth=1)
    loss.legend(frameon=False)
    if evaluations:
        found.legend(frameon=False)
    speed.set_xlabel("million tokens read; dotted: a new stage")
    figure.suptitle(f"{run.name}: {', '.join(dict.fromkeys(step['stage'] for step in steps))}")
    path = run / "curves.png"
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=dpi)
    return path


def _sources(evaluations: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for line in evaluations for name, value in line.items() if isinstance(value, dict)))


def _borders(steps: list[dict[str, Any]]) -> list[int]:
    return [before["tokens"] for before, after in pairwise(steps) if before["stage"] != after["stage"]]
