"""`modernbert bench`: the efficiency study, from a plan to a report."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modernbert.bench.plan import Plan
    from modernbert.bench.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Compare encoders and runtimes on this machine: tokens a second, memory, and how cost grows with size."""

    out: Path = Path("runs/bench")
    """Folder for the report; measurements that are in it already are kept, so a study that was stopped goes on."""
    models: tuple[str, ...] = ("bert", "roberta", "debertav3", "nomic", "gte", "modernbert")
    """Which models, with random weights."""
    sizes: tuple[str, ...] = ("base",)
    """base and large; tiny for trying the command out."""
    workloads: tuple[str, ...] = (
        "fixed-512",
        "variable-512",
        "fixed-8192",
        "variable-8192",
        "scaling-documents",
        "scaling-length",
    )
    """The paper's four, and how ModernBERT's cost grows; also mixed (32 documents of 16 to 512), or such as 8x512."""
    backends: tuple[str, ...] = (
        "stock-fp32",
        "stock-bf16",
        "ours-fp32",
        "ours-bf16",
        "ours-int8",
        "onnx-fp32",
        "onnx-int8",
        "openvino-fp32",
        "openvino-bf16",
    )
    """Who computes, in which number format; what cannot run here is listed with the reason."""
    documents: int | None = None
    """Of each of the paper's workloads; absent: chosen by this machine's speed."""
    scale: float | None = None
    """Instead: the share of the paper's 8,192 documents; 1 is its full protocol."""
    rounds: int = 3
    """In which all backends take turns; quick work gets up to 21."""
    budget: str = "24GB"
    """Memory for the largest batch, such as 8GB."""
    most_seconds: float = 60.0
    """A scaling series ends before a size that would take longer."""
    dry_run: bool = False
    """Print what would be measured and about how long it takes, and stop."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Plan, measure, report."""
        from modernbert.bench.plan import Settings

        settings = Settings(
            models=self.models,
            sizes=self.sizes,
            workloads=self.workloads,
            backends=self.backends,
            documents=self.documents,
            scale=self.scale,
            rounds=self.rounds,
            budget=self.budget,
            most_seconds=self.most_seconds,
        )
        from modernbert.bench.machine import examine
        from modernbert.bench.plan import make_plan
        from modernbert.bench.rates import measure
        from modernbert.bench.report import as_json, write_report
        from modernbert.bench.study import Place, check_writable, run_study
        from modernbert.core.errors import require

        machine = examine()
        rates = measure(machine.device)
        plan = make_plan(settings, rates, device=machine.device, exports=self.out / "models")
        if self.dry_run:
            print(json.dumps(_plan_as_json(plan)) if self.json else "\n".join(_plan_in_words(plan)))
            return
        require("matplotlib", extra="bench")
        check_writable(self.out)
        study = run_study(plan, Place(out=self.out, machine=machine, rates=rates))
        written = write_report(study, self.out)
        if self.json:
            print(json.dumps(as_json(study)))
            return
        _show(study)
        print("\n".join(f"wrote {path}" for path in written))


def _plan_as_json(plan: "Plan") -> dict[str, object]:
    return {
        "minutes": plan.seconds / 60,
        "is_scaled_down": plan.is_scaled_down,
        "cells": [
            {
                "cell": cell.key,
                "documents": cell.documents,
                "contenders": [f"{each.name}, {way}" for each, way in cell.contenders],
                "left_out": cell.left_out,
                "minutes": cell.seconds / 60,
            }
            for cell in plan.cells
        ],
        "scaling": [
            {"cell": one.key, "contenders": [each.name for each in one.backends], "minutes": one.seconds / 60}
            for one in plan.scaling
        ],
        "absent": plan.absent,
    }


def _plan_in_words(plan: "Plan") -> list[str]:
    lines = [f"about {plan.seconds / 60:,.0f} minutes for what is not measured yet, if nothing is:"]
    for cell in plan.cells:
        names = ", ".join(f"{each.name} ({way})" for each, way in cell.contenders) or "nobody"
        lines.append(f"  {cell.key}: {cell.documents:,} documents, about {cell.seconds / 60:.1f} min: {names}")
    for one in plan.scaling:
        names = ", ".join(each.name for each in one.backends)
        lines.append(f"  {one.key}: about {one.seconds / 60:.1f} min: {names}")
    left_out: dict[tuple[str, str], list[str]] = {}
    for cell in plan.cells:
        for name, reason in cell.left_out.items():
            left_out.setdefault((name, reason), []).append(cell.rival.label)
    if left_out or plan.absent:
        lines.append("left out:")
    for (name, reason), labels in left_out.items():
        lines.append(f"  {name} of {', '.join(dict.fromkeys(labels))}: {reason}")
    lines += [f"  {name}: {reason}" for name, reason in plan.absent.items()]
    if plan.is_scaled_down:
        lines.append("scaled down: fewer documents than the paper's 8,192; --scale 1 runs them all")
    return lines


def _show(study: "Study") -> None:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    from modernbert.bench.tables import tables

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for table in tables(study):
        grid = Grid(title=Text(table.title), title_justify="left", box=None, pad_edge=False, header_style="bold")
        for i, name in enumerate(table.head):
            grid.add_column(Text(name), justify="left" if i < table.words else "right", overflow="fold")
        for row in table.rows:
            grid.add_row(*map(Text, row))
        console.print(grid)
        console.print()
