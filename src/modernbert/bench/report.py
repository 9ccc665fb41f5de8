"""The study as files: study.json with its provenance, report.md, report.html, and the figures as PNG."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modernbert.bench.published import everything
from modernbert.bench.rivals import rival
from modernbert.bench.roofline_figure import draw_roofline, lines, spots
from modernbert.bench.scaling_figure import draw_scaling
from modernbert.bench.speed_figure import draw_speed
from modernbert.bench.study import Study
from modernbert.bench.tables import Table, notes, tables
from modernbert.core.errors import require
from modernbert.core.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #33383d; max-width: 72rem; margin: 2.5rem auto; padding: 0 1.5rem }
h1 { font-size: 1.7rem; margin-bottom: .3rem } h2 { font-size: 1.15rem; margin: 2.4rem 0 .3rem }
p.note { color: #6a7178; max-width: 60rem; margin: .2rem 0 .8rem }
table { border-collapse: collapse; font-size: .87rem } div.wide { overflow-x: auto }
th, td { padding: .28rem .7rem; border-bottom: 1px solid #e4e7ea; text-align: right; white-space: nowrap }
th { color: #6a7178; font-weight: 600; vertical-align: bottom }
th.word, td.word { text-align: left } td.reason { white-space: normal }
tr.ours td { background: #eef4fa } tr.paper td { color: #8a8578; font-style: italic }
img { max-width: 100%; margin: .6rem 0 }
"""


def write_report(study: Study, out: Path) -> list[Path]:
    """Write all of it, and return the paths.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="bench")
    pictures = {name: _png(figure) for name, figure in _figures(study)}
    made = tables(study)
    written = [out / "study.json", out / "report.md", out / "report.html"]
    texts = (
        json.dumps(as_json(study), indent=2) + "\n",
        markdown(study, made, list(pictures)),
        _html(study, made, pictures),
    )
    for path, text in zip(written, texts, strict=True):
        with write_atomically(path, "w") as file:
            file.write(text)
    for name, picture in pictures.items():
        with write_atomically(out / name) as file:
            file.write(picture)
        written.append(out / name)
    return written


def as_json(study: Study) -> dict[str, Any]:
    """Everything measured, on what, and the published figures with their source."""
    return {
        "machine": study.machine.as_dict(),
        "rates": asdict(study.rates),
        "settings": asdict(study.plan.settings),
        "is_scaled_down": study.plan.is_scaled_down,
        "absent": study.plan.absent,
        "cells": [
            asdict(cell)
            | {
                "figures": {
                    one.name: {
                        "tokens_per_second": cell.tokens_per_second(one),
                        "seconds_for_8192_documents": cell.seconds_of_paper(one),
                        "share_of_matmul": cell.share_of_matmul(one),
                    }
                    for one in cell.timed
                }
            }
            for cell in study.cells
        ],
        "scaling": [asdict(one) for one in study.scaling],
        "published": everything(),
    }


def markdown(study: Study, made: list[Table], pictures: list[str]) -> str:
    """As a page, the pictures beside it."""
    parts = ["# Efficiency study", "", "*Written by `modernbert bench`; no number here is typed by hand.*", ""]
    parts += [f"{line}\n" for line in _told(study)]
    parts += [f"![{name.removesuffix('.png')}]({name})\n" for name in pictures]
    parts += [table.markdown() for table in made]
    parts += [f"* {note}" for note in notes(study)]
    return "\n".join(parts).rstrip() + "\n"


def _told(study: Study) -> Iterator[str]:
    machine, rates = study.machine, study.rates
    if study.plan.is_scaled_down:
        yield (
            "**Scaled down**: fewer documents than the paper's 8,192, so that this machine is done in reasonable time; "
            "lengths are drawn from the paper's distributions, and every model has all of its layers."
        )
    packages = " · ".join(f"{name} {number}" for name, number in machine.packages.items())
    yield f"{machine.cpu} · {machine.cores} cores · {machine.threads} threads · Python {machine.python} · {packages}"
    bfloat16 = f", {rates.bfloat16 / 1e9:,.0f} in bfloat16" if rates.bfloat16 else ", no bfloat16 arithmetic"
    loads = [one.provenance["load_average"] for one in (*study.cells, *study.scaling)]
    busiest = max((load for load in loads if load is not None), default=None)
    busy = "" if busiest is None else f" Load average before a cell at most {busiest:.1f}."
    yield (
        f"Matrix products {rates.float32 / 1e9:,.0f} GFLOP/s in float32{bfloat16}; memory {rates.bandwidth / 1e9:,.0f} "
        f"GB/s (measured at the start).{busy}"
    )
    yield (
        "Random weights, the same for all backends of a model. From lists of token ids to hidden states: sorting, padding "
        "and packing are part of the time. Backends run in processes of their own and take turns, round by round; outputs "
        "are compared with stock's before timing, and the timed documents' once more."
    )


def _figures(study: Study) -> Iterator[tuple[str, "Figure"]]:
    sizes = list(dict.fromkeys(one.size for one in (*study.cells, *study.scaling)))
    for size in sizes:
        if any(cell.timed for cell in study.cells if cell.size == size):
            yield f"speed-{size}.png", draw_speed(study, size)
        if spots(study, size) or any(lines(study, size).values()):
            yield f"roofline-{size}.png", draw_roofline(study, size)
        growing = [one for one in study.scaling if one.size == size and any(one.series.values())]
        if growing:
            label = rival(growing[0].model, size)
            yield f"scaling-{size}.png", draw_scaling(growing, label.label if label else size)


def _png(figure: "Figure") -> bytes:
    drawing = io.BytesIO()
    figure.savefig(drawing, format="png", dpi=150)
    return drawing.getvalue()


def _html(study: Study, made: list[Table], pictures: dict[str, bytes]) -> str:
    """One file, pictures inside, nothing loaded from anywhere."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Efficiency study</title><style>{_STYLE}</style><h1>Efficiency study</h1>",
        *(f"<p class=note>{_emphasised(line)}</p>" for line in _told(study)),
        *(
            f"<img alt='{escape(name)}' src='data:image/png;base64,{base64.b64encode(picture).decode()}'>"
            for name, picture in pictures.items()
        ),
        *map(_html_table, made),
        *(f"<p class=note>{escape(note)}</p>" for note in notes(study)),
        f"<p class=note>Published figures: {escape(everything()['source'])}; {escape(everything()['machine'])}; "
        f"{escape(everything()['protocol'])}.</p></html>",
    ]
    return "\n".join(parts)


def _html_table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        return "".join(
            f"<{tag} class='{'word' if i < table.words else 'figure'}{' reason' if len(text) > 60 else ''}'>{escape(text)}"
            for i, text in enumerate(row)
        )

    rows = "".join(f"<tr class='{_kind(row)}'>{cells(row, 'td')}" for row in table.rows)
    return (
        f"<h2>{escape(table.title)}</h2><p class=note>{escape(table.note)}</p>"
        f"<div class=wide><table><tr>{cells(table.head, 'th')}{rows}</table></div>"
    )


def _kind(row: tuple[str, ...]) -> str:
    if any(text.startswith("the paper") for text in row):
        return "paper"
    return "ours" if len(row) > 1 and row[1].startswith("ours") else "other"


def _emphasised(line: str) -> str:
    return escape(line).replace("**Scaled down**", "<b>Scaled down</b>")
