"""Tokens a second of every model and backend, a panel a workload, the paper's order of models beside ours."""

from typing import TYPE_CHECKING

from modernbert.bench.paint import FAINT, INK, colour, plain
from modernbert.bench.results import Cell
from modernbert.bench.rivals import rival
from modernbert.bench.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HATCHES = {"float32": "", "bfloat16": "", "int8": "////"}


def draw_speed(study: Study, size: str) -> "Figure":
    """Bars for one size; the whiskers are the fastest and the slowest round."""
    from matplotlib.figure import Figure

    workloads = list(dict.fromkeys(cell.workload for cell in study.cells if cell.size == size))
    panels = [[cell for cell in study.cells if cell.size == size and cell.workload == name] for name in workloads]
    bars = [sum(len(cell.best()) + 1 for cell in cells) for cells in panels]
    figure = Figure(figsize=(9, 0.9 * len(panels) + 0.24 * sum(bars)), layout="constrained")
    columns = figure.subplots(len(panels), 1, height_ratios=[count + 2 for count in bars], squeeze=False)[:, 0]
    for axes, cells, name in zip(columns, panels, workloads, strict=True):
        _panel(axes, cells, name)
    columns[-1].set_xlabel("thousands of real tokens a second, median; whiskers: fastest and slowest round", color=INK)
    return figure


def _panel(axes: "Axes", cells: list[Cell], name: str) -> None:
    ticks: list[tuple[float, str]] = []
    at = 0.0
    for cell in cells:
        label = rival(cell.model, cell.size)
        best = cell.best()
        for place, one in enumerate(sorted(best.values(), key=lambda one: one.timing.median)):
            speed = cell.tokens_per_second(one) / 1e3
            low, high = (cell.tokens / seconds / 1e3 for seconds in (max(one.seconds), min(one.seconds)))
            axes.barh(
                at,
                speed,
                height=0.82,
                color=colour(one.backend),
                alpha=1.0 if one.engine.dtype != "float32" else 0.72,
                hatch=_HATCHES[one.engine.dtype],
                edgecolor="white",
                linewidth=0.4,
                xerr=[[speed - low], [high - speed]],
                error_kw={"elinewidth": 0.8, "capsize": 1.5, "ecolor": INK},
            )
            axes.annotate(
                f"{one.backend}  {speed:,.2f}" if speed < 10 else f"{one.backend}  {speed:,.1f}",
                (high, at),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                color=INK,
            )
            if place == 0 and label is not None:
                ticks.append((at, label.label))
            at += 1
        at += 0.7 if best else 0
    axes.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.invert_yaxis()
    axes.set_title(name, loc="left", fontsize=11, color=INK)
    axes.margins(x=0.16)
    axes.set_xlim(left=0)
    plain(axes)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=FAINT, linewidth=1)
