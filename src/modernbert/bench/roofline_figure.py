"""The roofline: how many operations a second each backend reaches, and the two walls of the machine above it.

To the left a machine waits for memory, to the right for its multipliers. Bytes are counted as if every operator read its
inputs and weights and wrote its outputs once a batch; who fuses operators moves fewer, and can pass the slope.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modernbert.bench.backends import BACKENDS, Backend
from modernbert.bench.paint import FAINT, INK, colour, marker, plain
from modernbert.bench.rates import Rates
from modernbert.bench.rivals import Rival, rival
from modernbert.bench.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One measurement under the roof."""

    backend: str
    label: str
    intensity: float
    """Operations a byte."""
    rate: float
    """Operations a second."""


def intensity(one: Rival, backend: Backend, *, flops: float, tokens: int, batches: int) -> float:
    """Useful operations for each byte that the operators move."""
    of_work = 2 if backend.dtype == "bfloat16" else 4
    moved = batches * one.linear_weights * backend.bytes_per_number + tokens * one.numbers_per_token * of_work
    return flops / moved


def spots(study: Study, size: str) -> list[Spot]:
    """ModernBERT's of that size, each backend with its best batching."""
    found = []
    for cell in study.cells:
        one = rival(cell.model, cell.size)
        if one is None or not one.is_ours or cell.size != size:
            continue
        for name, measured in cell.best().items():
            density = intensity(one, measured.engine, flops=cell.flops, tokens=cell.tokens, batches=measured.batches)
            found.append(
                Spot(backend=name, label=cell.workload, intensity=density, rate=cell.flops_per_second(measured))
            )
    return found


def lines(study: Study, size: str) -> dict[str, list[Spot]]:
    """By backend, one document of growing length."""
    found: dict[str, list[Spot]] = {}
    for series in study.scaling:
        one = rival(series.model, series.size)
        if one is None or series.size != size or series.workload != "scaling-length":
            continue
        for name, points in series.series.items():
            found[name] = [
                Spot(
                    backend=name,
                    label=f"{point.at:,}",
                    intensity=intensity(
                        one, BACKENDS[name], flops=point.flops, tokens=point.tokens, batches=point.batches
                    ),
                    rate=point.flops / point.median,
                )
                for point in points
            ]
    return found


def draw_roofline(study: Study, size: str) -> "Figure":
    """A figure of its own for one size."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(10, 6.2), layout="constrained")
    axes = figure.subplots()
    dots, series = spots(study, size), lines(study, size)
    every = [*dots, *(spot for line in series.values() for spot in line)]
    low = min(spot.intensity for spot in every) / 1.6
    high = max(spot.intensity for spot in every) * 1.8
    top = max(study.rates.float32, study.rates.bfloat16 or 0.0)
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    axes.set_ylim(min(spot.rate for spot in every) / 1e9 / 1.7, top / 1e9 * 1.9)
    _roofs(axes, study.rates, low, high)
    for name, line in series.items():
        where = [spot.intensity for spot in line], [spot.rate / 1e9 for spot in line]
        axes.plot(*where, color=colour(name), linewidth=1.4, alpha=0.65, marker=".", markersize=5, zorder=3)
        if line:
            for spot in {line[0].label: line[0], line[-1].label: line[-1]}.values():
                below = (0, -11) if spot is line[0] else (0, -12)
                axes.annotate(
                    f"1 × {spot.label}",
                    (spot.intensity, spot.rate / 1e9),
                    xytext=below,
                    textcoords="offset points",
                    ha="center",
                    fontsize=7.5,
                    color=colour(name),
                )
    for spot in dots:
        axes.plot(
            spot.intensity,
            spot.rate / 1e9,
            marker=marker(spot.backend),
            color=colour(spot.backend),
            markersize=8,
            markeredgecolor="white",
            markeredgewidth=0.8,
            zorder=4,
        )
    _name_workloads(axes, dots)
    names = list(dict.fromkeys([spot.backend for spot in dots] + list(series)))
    handles = [
        Line2D([], [], marker=marker(name), color=colour(name), linestyle="", markersize=7, label=name)
        for name in names
    ]
    axes.legend(handles=handles, loc="lower right", frameon=False, labelcolor=INK, fontsize=9)
    axes.set_xlabel("operations a byte (weights once a batch, every operator's inputs and outputs once)", color=INK)
    axes.set_ylabel("useful GFLOP/s, padding not counted", color=INK)
    axes.set_title(
        f"ModernBERT-{size} under the roof of this machine: {study.machine.cpu}, {study.machine.threads} threads",
        loc="left",
        color=INK,
        fontsize=11.5,
    )
    plain(axes)
    return figure


def _roofs(axes: "Axes", rates: Rates, low: float, high: float) -> None:
    densities = np.geomspace(low, high, 200)
    walls = {"float32": rates.float32} | ({"bfloat16": rates.bfloat16} if rates.bfloat16 else {})
    for name, wall in walls.items():
        roof = np.minimum(densities * rates.bandwidth, wall) / 1e9
        axes.plot(densities, roof, color=INK, linewidth=1.6, zorder=2)
        axes.annotate(
            f"{name} matrix products, {wall / 1e9:,.0f} GFLOP/s measured",
            (high, wall / 1e9),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            fontsize=8.5,
            color=INK,
        )
    tallest = np.minimum(densities * rates.bandwidth, max(walls.values())) / 1e9
    axes.fill_between(densities, tallest, axes.get_ylim()[1], color=FAINT, alpha=0.25, linewidth=0, zorder=1)
    knee = min(walls.values()) / rates.bandwidth
    if low < knee / 2:
        at = (low * knee) ** 0.5
        axes.annotate(
            f"memory, {rates.bandwidth / 1e9:,.0f} GB/s measured",
            (at, at * rates.bandwidth / 1e9),
            xytext=(-6, 6),
            textcoords="offset points",
            ha="right",
            fontsize=8.5,
            color=INK,
        )


def _name_workloads(axes: "Axes", dots: Iterable[Spot]) -> None:
    """Once each, above its highest point."""
    highest: dict[str, Spot] = {}
    for spot in dots:
        if spot.label not in highest or spot.rate > highest[spot.label].rate:
            highest[spot.label] = spot
    for spot in highest.values():
        axes.annotate(
            spot.label,
            (spot.intensity, spot.rate / 1e9),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
