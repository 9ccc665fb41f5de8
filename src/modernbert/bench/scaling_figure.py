"""Cost over size on two logarithmic axes: a straight line is a power, and its slope the exponent."""

from typing import TYPE_CHECKING

import numpy as np

from modernbert.bench.paint import FAINT, INK, colour, marker, plain
from modernbert.bench.results import Scaling
from modernbert.bench.scaling import exponent
from modernbert.bench.workloads import SCALING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES = {
    "scaling-documents": "documents of the variable-512 workload",
    "scaling-length": "tokens of one document",
}


def draw_scaling(studies: list[Scaling], label: str) -> "Figure":
    """A panel for documents and one for length, of one model."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    order = sorted(studies, key=lambda one: SCALING.index(one.workload))
    figure = Figure(figsize=(5.2 * len(order), 4.6), layout="constrained")
    for axes, one in zip(figure.subplots(1, len(order), squeeze=False)[0], order, strict=True):
        axes.set(xscale="log", yscale="log")
        for name, points in one.series.items():
            if not points:
                continue
            found = exponent(points, one.workload)
            slope = "" if found is None else f", exponent {found:.2f}"
            sizes, seconds = [point.at for point in points], [point.median for point in points]
            axes.plot(
                sizes,
                seconds,
                color=colour(name),
                marker=marker(name),
                markersize=5,
                linewidth=1.8,
                label=f"{name}{slope}",
            )
        _proportional(axes, one)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(_AXES[one.workload], color=INK)
        axes.set_ylabel("seconds, median", color=INK)
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="upper left")
        plain(axes)
    figure.suptitle(f"{label}: how cost grows", x=0.01, ha="left", color=INK, fontsize=11.5)
    return figure


def _proportional(axes: "Axes", one: Scaling) -> None:
    """A faint line of slope 1 through the last point of the cheapest series, and where training ended."""
    last = [points for points in one.series.values() if points]
    if not last:
        return
    cheapest = min(last, key=lambda points: points[-1].median / points[-1].at)
    sizes = np.array([cheapest[0].at, cheapest[-1].at])
    axes.plot(
        sizes,
        cheapest[-1].median * sizes / cheapest[-1].at,
        color=FAINT,
        linewidth=1.2,
        linestyle="--",
        zorder=1,
        label="in proportion",
    )
    if one.workload == "scaling-length" and sizes[-1] > 8192:
        axes.axvline(8192, color=FAINT, linewidth=1, linestyle=":")
        axes.annotate(
            "trained to 8,192",
            (8192, axes.get_ylim()[0]),
            xytext=(-3, 6),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=7.5,
            color=INK,
        )
