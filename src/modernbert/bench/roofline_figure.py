"""The roofline: how many operations a second each backend reaches, and the two walls of the machine above it.

To the left a machine waits for memory, to the right for its multipliers. Bytes are counted as if every operator read its
inputs and weights and wrote its outputs once a batch; who fuses operators moves fewer, and can pass the slope.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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


def highest_rates(study: Study) -> Rates:
    """The machine's walls: the best seen before any cell, since a busy moment only lowers them."""
    seen = [study.rates, *(one.rates for one in (*study.cells, *study.scaling))]
    bfloat16 = [rates.bfloat16 for rates in seen if rates.bfloat16]
    return Rates(
        float32=max(rates.float32 for rates in seen),
        bfloat16=max(bfloat16) if bfloat16 else None,
        bandwidth=max(rates.bandwidth for rates in seen),
    )


def draw_roofline(study: Study, size: str) -> "Figure":
    """A figure of its own for one size."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogFormatter

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots()
    dots, series = spots(study, size), lines(study, size)
    every = [*dots, *(spot for line in series.values() for spot in line)]
    walls = highest_rates(study)
    knee = _highest(walls) / walls.bandwidth
    low = min([knee / 2, *(spot.intensity for spot in every)]) / 1.6  # some of the slope is always seen
    high = max(spot.intensity for spot in every) * 1.8
    rates = [spot.rate / 1e9 for spot in every] + [_highest(walls) / 1e9]
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(min(rates) / 1.8, max(rates) * 1.9))
    _roofs(axes, walls, low, high)
    for name, line in series.items():
        _series(axes, name, line)
    numbers = {name: i for i, name in enumerate(dict.fromkeys(spot.label for spot in dots), start=1)}
    for spot in dots:
        _dot(axes, spot, numbers[spot.label])
    names = list(dict.fromkeys([spot.backend for spot in dots] + list(series)))
    _key(axes, names, numbers, has_lines=any(series.values()))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))  # a short axis needs more than powers of ten
    axes.set_xlabel("operations a byte (weights once a batch, every operator's inputs and outputs once)", color=INK)
    axes.set_ylabel("useful GFLOP/s, padding not counted", color=INK)
    machine = f"{study.machine.cpu}, {study.machine.threads} thread{'s' if study.machine.threads > 1 else ''}"
    axes.set_title(f"ModernBERT-{size} under the roof of {machine}", loc="left", color=INK, fontsize=11.5)
    plain(axes)
    return figure


def _highest(rates: Rates) -> float:
    return max(rates.float32, rates.bfloat16 or 0.0)


def _roofs(axes: "Axes", rates: Rates, low: float, high: float) -> None:
    densities = np.geomspace(low, high, 200)
    walls = {"float32": rates.float32} | ({"bfloat16": rates.bfloat16} if rates.bfloat16 else {})
    for name, wall in walls.items():
        axes.plot(densities, np.minimum(densities * rates.bandwidth, wall) / 1e9, color=INK, linewidth=1.6, zorder=2)
        _say(
            axes,
            f"{name} matrix products: {wall / 1e9:,.0f} GFLOP/s measured",
            (max(low * 1.03, 1.2 * wall / rates.bandwidth), wall / 1e9),
            (0, 5),
            ha="left",
        )
    tallest = np.minimum(densities * rates.bandwidth, _highest(rates)) / 1e9
    axes.fill_between(densities, tallest, axes.get_ylim()[1], color=FAINT, alpha=0.25, linewidth=0, zorder=1)
    memory = f"memory: {rates.bandwidth / 1e9:,.0f} GB/s measured"
    _say(axes, memory, (low * 1.05, _highest(rates) / 1e9), (0, 5), ha="left")


def _series(axes: "Axes", name: str, line: list[Spot]) -> None:
    """One document, longer and longer; its ends are named."""
    densities, rates = [spot.intensity for spot in line], [spot.rate / 1e9 for spot in line]
    axes.plot(densities, rates, color=colour(name), linewidth=1.4, alpha=0.6, marker=".", markersize=5, zorder=3)
    for spot in {spot.label: spot for spot in (line[:1] + line[-1:])}.values():
        _say(axes, f"1 × {spot.label}", (spot.intensity, spot.rate / 1e9), (0, -13), ink=colour(name))


def _dot(axes: "Axes", spot: Spot, number: int) -> None:
    """A workload, by its number in the key."""
    at = (spot.intensity, spot.rate / 1e9)
    axes.plot(
        *at,
        marker=marker(spot.backend),
        color=colour(spot.backend),
        markersize=13,
        markeredgecolor="white",
        markeredgewidth=0.9,
        linestyle="",
        zorder=4,
    )
    low = -1.5 if marker(spot.backend) == "^" else 0
    axes.annotate(
        str(number),
        at,
        xytext=(0, low),
        textcoords="offset points",
        ha="center",
        va="center_baseline",
        fontsize=7.5,
        fontweight="bold",
        color="white",
        zorder=5,
    )


def _key(axes: "Axes", names: list[str], numbers: dict[str, int], *, has_lines: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=marker(name), color=colour(name), linestyle="", markersize=8, label=name)
        for name in names
    ]
    handles += [Line2D([], [], linestyle="", label=f"{number}  {name}") for name, number in numbers.items()]
    if has_lines:
        handles.append(Line2D([], [], color=INK, linewidth=1.2, alpha=0.5, marker=".", label="one document, by length"))
    axes.figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(6, len(handles)),
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )


def _say(
    axes: "Axes",
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    *,
    ha: Literal["left", "center", "right"] = "center",
    ink: str = INK,
) -> None:
    axes.annotate(
        text,
        at,
        xytext=offset,
        textcoords="offset points",
        ha=ha,
        fontsize=8.5,
        color=ink,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        zorder=3.5,
    )
