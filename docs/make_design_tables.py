"""Write the tables of docs/design.md, all of which are computed.

python docs/make_design_tables.py
"""

from pathlib import Path

from tables import fill, rewrite, table

from modernbert.bench.design import PRESETS, Design, design, name_of, reasons
from modernbert.bench.shape_scores import Work, enough_layers
from modernbert.bench.targets import TARGETS
from modernbert.model.config import SIZES
from modernbert.model.counts import num_parameters

PAGE = Path(__file__).with_name("design.md")
WORTHS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3)
PAPER = {"base": 148.1, "large": 52.3}
"""Thousand tokens a second on an RTX 4090, documents of 512 (arXiv 2412.13663, table 2)."""


def filled(page: str) -> str:
    """The page with its tables computed anew."""
    tables = {
        "targets": _targets(),
        "base": _ranking("base"),
        "large": _ranking("large"),
        "worth": _worth(),
        "reference": _reference(),
        "bound": _bound(),
        "widths": _widths(),
    }
    return fill(page, tables)


def _targets() -> str:
    rows = [["name", "device", "units", "peak TFLOP/s", "GB/s", "weight", "figures from"]]
    for target in TARGETS.values():
        figures = [f"{target.peak / 1e12:g}", f"{target.bandwidth / 1e9:,.0f}", f"{target.weight:g}"]
        rows.append([f"`{target.name}`", target.title, str(target.units), *figures, target.source])
    return table(rows)


def _ranking(size: str) -> str:
    """The first eight, and the published shape."""
    found = _design(size)
    published = found.rank_of(SIZES[size]) or 0
    rows = [["place", "layers x width, gate", "parameters", "of peak", "depth", "score", "against the first"]]
    for place, score in enumerate(found.scores, 1):
        if place > 8 and place != published:
            continue
        shape = score.shape
        words = f"{shape.num_hidden_layers} x {shape.hidden_size:,}, {shape.intermediate_size:,}"
        shares = [f"{100 * share:.1f}" for share in (score.speed.of_peak, score.depth, score.value)]
        label = f"**{words}** ({name_of(shape)})" if place == published else words
        against = reasons(score, found.scores[0]) if place > 1 else ""
        rows.append([str(place), label, f"{num_parameters(shape) / 1e6:.1f}M", *shares, against])
    return table(rows)


def _worth() -> str:
    """Where the published shapes stand for each worth of depth, and who is first."""
    rows = [["twice the layers may cost", "base", "first", "large", "first"]]
    for worth in WORTHS:
        cells = [f"{worth:.0%}"]
        for size in PAPER:
            found = _design(size, worth)
            first = found.scores[0].shape
            cells.append(f"{found.rank_of(SIZES[size])} of {len(found.scores)}")
            cells.append(f"{first.num_hidden_layers} x {first.hidden_size:,}, {first.intermediate_size:,}")
        rows.append(cells)
    return table(rows)


def _reference() -> str:
    """The reference's own score of the published shapes and of its first."""
    rows = [["space", "published", "place", "busy units", "first", "busy units"]]
    for size in PAPER:
        scores = sorted(_design(size).scores, key=lambda score: -(score.utilisation or 0.0))
        place = next(i for i, score in enumerate(scores) if name_of(score.shape) == size)
        words = [
            f"{scores[i].shape.num_hidden_layers} x {scores[i].shape.hidden_size:,}, {scores[i].shape.intermediate_size:,}"
            for i in (place, 0)
        ]
        busy = [f"{scores[i].utilisation:.1%}" for i in (place, 0)]
        rows.append([size, words[0], f"{place + 1} of {len(scores)}", busy[0], words[1], busy[1]])
    return table(rows)


def _bound() -> str:
    """The estimate beside what the paper measured."""
    rows = [["k tokens/s, RTX 4090", "estimated bound", "paper", "paper of bound"]]
    for size, measured in PAPER.items():
        found = design(PRESETS[size], [TARGETS["4090"]], Work(batches=(65_536,)))
        bound = found.scores[(found.rank_of(SIZES[size]) or 0) - 1].speed.tokens_per_second / 1e3
        rows.append([size, f"{bound:,.0f}", f"{measured:g}", f"{measured / bound:.0%}"])
    return table(rows)


def _widths() -> str:
    """What a width can use, beside what was published."""
    rows = [["width", "layers it can use", "published"]]
    for name, shape in SIZES.items():
        if name != "tiny":
            enough = f"{enough_layers(shape.hidden_size):.0f}"
            rows.append([f"{shape.hidden_size:,}", enough, f"{shape.num_hidden_layers} ({name})"])
    return table(rows)


def _design(size: str, worth: float = Work().depth_worth) -> Design:
    return design(PRESETS[size], tuple(TARGETS.values()), Work(depth_worth=worth))


if __name__ == "__main__":
    rewrite(PAGE, filled)
