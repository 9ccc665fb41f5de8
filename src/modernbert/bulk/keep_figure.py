"""What was kept, by source: how the annotation is spread, and where the line was drawn."""

from pathlib import Path

from modernbert.bulk.keep import Condition, Report
from modernbert.core.errors import UserError, require
from modernbert.core.files import write_atomically

_MOST = 12
"""Sources that have a line of their own, the largest."""


def draw(report: Report, path: Path) -> None:
    """Write a picture.

    Raises:
        UserError: the ending is none that can be drawn, or matplotlib is not installed.
    """
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--figure {path}: found {path.suffix or 'no ending'!r}, expected .png, .svg or .pdf")
    require("matplotlib", extra="train")
    from matplotlib.figure import Figure

    largest = sorted(report.sources.items(), key=lambda item: -item[1].documents)[:_MOST]
    has_numbers = report.high > report.low
    figure = Figure(figsize=(9, 1.5 + 0.45 * max(6, len(largest))), layout="constrained")
    axes = figure.subplots(1, 2 if has_numbers else 1, squeeze=False)[0]
    names = [name for name, _ in largest][::-1]
    axes[0].barh(names, [100 * counts.kept / max(1, counts.documents) for _, counts in largest][::-1])
    axes[0].set_xlabel(f"kept, % of documents ({report.kept:,} of {report.documents:,})")
    axes[0].set_xlim(0, 100)
    if has_numbers:
        condition = Condition.of(report.where[0])
        for name, counts in largest:
            size = (report.high - report.low) / len(counts.values)
            places = [report.low + (number + 0.5) * size for number in range(len(counts.values))]
            axes[1].plot(places, [100 * n / max(1, counts.documents) for n in counts.values], label=name)
        axes[1].axvline(float(condition.value), color="black", linestyle="--")
        axes[1].set_xlabel(report.where[0])
        axes[1].set_ylabel("% of a source's documents")
        axes[1].legend(fontsize="small")
    with write_atomically(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=120)
