"""The study as tables of words, for the terminal, Markdown and HTML alike."""

from collections.abc import Iterator
from dataclasses import dataclass

from modernbert.bench.published import published
from modernbert.bench.results import Cell, Measured
from modernbert.bench.rivals import Rival, rival
from modernbert.bench.scaling import exponent, flops_exponent
from modernbert.bench.study import Study
from modernbert.bench.timing import paired_ratio
from modernbert.bench.workloads import workload

_NONE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A heading, what a reader should know, and rows; the first `words` columns are words, the others figures."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1

    def markdown(self) -> str:
        """As a section of a page."""
        rule = "|" + "---|" * self.words + "---:|" * (len(self.head) - self.words)
        lines = [f"## {self.title}", "", self.note, "", _row(self.head), rule, *map(_row, self.rows)]
        return "\n".join(lines) + "\n"


def tables(study: Study) -> list[Table]:
    """All that have something to show."""
    made = [_ours_and_others(study), _like_the_paper(study), *_details(study), _scaling(study), _left_out(study)]
    return [table for table in made if table.rows]


def _ours_and_others(study: Study) -> Table:
    rows = []
    for cell in study.cells:
        best = cell.best()
        for ours in (one for one in best.values() if one.engine.runtime == "ours"):
            others = [
                one for one in cell.timed if one.engine.runtime != "ours" and one.engine.dtype == ours.engine.dtype
            ]
            for other in sorted(others, key=lambda one: one.timing.median):
                ratio, low, high = _ratio(other, ours)
                rows.append(
                    (
                        f"{_rival(cell).label}, {cell.workload}",
                        ours.backend,
                        other.name,
                        _thousands(cell.tokens_per_second(ours)),
                        _thousands(cell.tokens_per_second(other)),
                        f"{ratio:.2f} ({low:.2f}–{high:.2f})",
                    )
                )
    return Table(
        title="Ours against each of the others, on the same weights",
        note="Thousands of real tokens a second, medians. The ratio is the median over rounds of the other's time over "
        "ours, with the lowest and the highest round. The same number format on both sides; the others with their best "
        "batching (sorted) and with the paper's (given).",
        head=("model, workload", "ours", "other", "ours k tok/s", "other k tok/s", "ratio (range)"),
        rows=tuple(rows),
        words=3,
    )


def _ratio(other: Measured, ours: Measured) -> tuple[float, float, float]:
    rounds = min(len(other.seconds), len(ours.seconds))
    slow, fast = (type(one.timing)(seconds=one.seconds[:rounds]) for one in (other, ours))
    return paired_ratio(slow, fast)


def _like_the_paper(study: Study) -> Table:
    """Table 2's columns, a row a model and backend, and the published row under each model."""
    columns = list(dict.fromkeys(cell.workload for cell in study.cells if workload(cell.workload).paper_tokens))
    head = ["model", "backend"]
    for name in columns:
        head += [f"batch {name}"] if workload(name).has_largest_batch else []
        head += [f"k tok/s {name}", f"s / 8,192 docs {name}"]
    rows: list[tuple[str, ...]] = []
    for one in dict.fromkeys(_rival(cell).key for cell in study.cells):
        cells = {cell.workload: cell for cell in study.cells if _rival(cell).key == one and cell.workload in columns}
        if not cells:
            continue
        label = _rival(next(iter(cells.values()))).label
        for name in study.plan.settings.backends:
            best = {each: cells[each].best().get(name) for each in cells}
            if any(best.values()):
                rows.append((label, name, *_figures(columns, cells, best)))
        if any(published(one, name) for name in columns):
            rows.append((label, "the paper, RTX 4090", *_published_figures(one, columns)))
    return Table(
        title="The paper's table 2, here and as published",
        note="Each backend with its best batching. Largest batch: documents of that length within "
        f"{study.plan.budget / 1e9:g} GB, weights included"
        + (", by a straight line through two measured batches" if study.machine.device == "cpu" else "")
        + ". Seconds are for 8,192 documents, in proportion to those that ran. The paper's figures are from another "
        "machine, in its libraries' default number formats: compare the order of models, not the values.",
        head=tuple(head),
        rows=tuple(rows),
        words=2,
    )


def _figures(columns: list[str], cells: dict[str, Cell], best: dict[str, Measured | None]) -> Iterator[str]:
    for name in columns:
        one = best.get(name)
        if workload(name).has_largest_batch:
            yield f"{one.largest_batch:,}" if one and one.largest_batch is not None else _NONE
        yield _thousands(cells[name].tokens_per_second(one)) if one else _NONE
        yield _seconds(cells[name].seconds_of_paper(one)) if one else _NONE


def _published_figures(key: str, columns: list[str]) -> Iterator[str]:
    for name in columns:
        found = published(key, name)
        if workload(name).has_largest_batch:
            yield f"{found.largest_batch:,}" if found else _NONE
        yield f"{found.thousand_tokens_per_second:.1f}" if found else _NONE
        yield _seconds(found.seconds) if found and found.seconds else _NONE


def _details(study: Study) -> Iterator[Table]:
    for name in dict.fromkeys(cell.workload for cell in study.cells):
        cells = [cell for cell in study.cells if cell.workload == name]
        documents = " or ".join(f"{count:,}" for count in sorted({cell.documents for cell in cells}))
        rows = [_detail(cell, one) for cell in cells for one in sorted(cell.timed, key=lambda one: one.timing.median)]
        yield Table(
            title=f"{name}, in detail",
            note=f"{documents} document{'' if documents == '1' else 's'}. Spread: slowest less fastest round over the median. Of matmul: useful "
            "operations a second, padding not counted, over the machine's matrix rate in that number format just "
            "before. Peak memory in a process of its own: weights and work, without libraries. Difference: largest of "
            "any state from stock's in float32, before timing.",
            head=(
                "model",
                "backend, batching",
                "k tok/s",
                "spread",
                "rounds",
                "of matmul",
                "peak memory",
                "difference",
            ),
            rows=tuple(rows),
            words=2,
        )


def _detail(cell: Cell, one: Measured) -> tuple[str, ...]:
    return (
        _rival(cell).label,
        one.name,
        _thousands(cell.tokens_per_second(one)),
        f"{one.timing.spread:.0%}",
        str(len(one.seconds)),
        f"{cell.share_of_matmul(one):.0%}",
        _NONE if one.peak is None else f"{one.peak / 1e6:,.0f} MB",
        _NONE if one.error is None else f"{one.error:.1e}",
    )


def _scaling(study: Study) -> Table:
    rows = []
    for one in study.scaling:
        for name, points in one.series.items():
            if not points:
                continue
            found, needed = exponent(points, one.workload), flops_exponent(points, one.workload)
            last = points[-1]
            rows.append(
                (
                    f"{one.key.removesuffix('-' + one.workload)}, {one.workload.removeprefix('scaling-')}",
                    name,
                    f"{points[0].at:,} to {last.at:,}",
                    _NONE if found is None else f"{found:.2f}",
                    _NONE if needed is None else f"{needed:.2f}",
                    f"{last.tokens / last.median:,.0f}",
                    one.stopped.get(name, ""),
                )
            )
    return Table(
        title="How cost grows",
        note="The exponent p of seconds ~ size^p, fitted from 4 documents on, and from lengths of 512 tokens on; beside it "
        "the exponent of the operations needed, which a constant rate would give. Beyond 8,192 tokens the rotary base "
        "grows with the length.",
        head=("model, in", "backend", "sizes", "exponent", "of operations", "tokens/s at the largest", "ended because"),
        rows=tuple(rows),
        words=2,
    )


def _left_out(study: Study) -> Table:
    rows: dict[tuple[str, ...], None] = {}
    for cell in study.cells:
        for name, reason in cell.left_out.items():
            rows[(_rival(cell).label, name, reason)] = None
        for one in cell.measured:
            if one.failed:
                rows[(f"{_rival(cell).label}, {cell.workload}", one.name, one.failed)] = None
    for name, reason in study.plan.absent.items():
        rows[(name, "all", reason)] = None
    return Table(
        title="Left out, and why",
        note="Nothing is missing silently.",
        head=("model", "backend", "reason"),
        rows=tuple(rows),
        words=3,
    )


def notes(study: Study) -> list[str]:
    """What a reader should know about single models."""
    found = {_rival(cell).label: _rival(cell).note for cell in study.cells}
    return [f"{label}: {note}." for label, note in found.items() if note]


def _rival(cell: Cell) -> Rival:
    found = rival(cell.model, cell.size)
    assert found is not None, "it was measured"
    return found


def _thousands(tokens_per_second: float) -> str:
    thousands = tokens_per_second / 1e3
    return f"{thousands:,.1f}" if thousands >= 10 else f"{thousands:.3f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.1f}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
