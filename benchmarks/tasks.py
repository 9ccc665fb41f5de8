"""Fine-tuning on many tasks: ours, the same by stock transformers' own code, and TF-IDF with a linear model.

    python benchmarks/tasks.py DATA                                    # writes docs/benchmarks-tasks.md
    python benchmarks/tasks.py DATA --tasks sst2 stsb --seeds 1 2 --settings max_train_samples=2000

DATA has a folder a task of the suite (`modernbert evaluate suite basics`). Both contenders go through `modernbert finetune` with
the same recipe, order of rows and seed; stock pads and runs transformers' forward (`accelerate: false`). Runs alternate, each is
written down once, and the same command goes on after a stop.
"""

import argparse
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from modernbert.bench.machine import examine
from modernbert.bench.timing import Timing, times_faster
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune.run import finetune
from modernbert.tasks.suite import Suite, read_suite, runs
from modernbert.train.watch import read_metrics

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-tasks.md"
CONTENDERS = ("ours", "stock")
LINES = {
    "ours": {"color": "#1f5f99", "linewidth": 1.6},
    "stock": {"color": "#c0552b", "linewidth": 1, "linestyle": "--"},
}
COLUMNS = 5


def main(words: Sequence[str] | None = None) -> None:
    """Run, write, draw up the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--suite", default="basics")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--tasks", nargs="+", default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44])
    parser.add_argument("--settings", nargs="*", default=[], help="over all runs, such as max_train_samples=2000, or over one task's: sst2.max_train_samples=2000")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-tasks.md as it is")
    options = parser.parse_args(words)
    load_before = os.getloadavg()[0]
    suite = read_suite(options.suite)
    tasks = options.tasks or list(suite.tasks)
    planned = list(
        runs(suite, options.model, options.out, data=options.data, size="base", tasks=tasks, seeds=options.seeds, changes=options.settings)
    )  # fmt: skip
    for name, seed, settings in planned:
        for contender in CONTENDERS:
            _once(options.out / f"{name}-{seed}-{contender}.json", name, contender, settings)
    lines = _table(suite, tasks, options)
    print("\n".join(lines))
    if not options.no_write:
        _draw(suite, tasks, options, PAGE.with_suffix(".png"))
        PAGE.write_text(_page(lines, options, load_before), encoding="utf-8")


def _once(path: Path, name: str, contender: str, settings: Finetune) -> None:
    if path.exists():
        return
    say(f"{name}, seed {settings.seed}, {contender}")
    counts = contender == "ours" and settings.task not in ("qa", "multiple_choice")
    out = settings.out.with_name(f"{settings.out.name}-{contender}")
    outcome = finetune(replace(settings, accelerate=contender == "ours", baseline=counts, out=out))
    if not outcome.is_finished:
        raise SystemExit("stopped: the same command goes on")
    facts = {
        "test": dict(outcome.test), "baseline": dict(outcome.baseline), "seconds": outcome.seconds,
        "rows": outcome.num_train, "tokens": outcome.tokens, "curve": read_metrics(out),
    }  # fmt: skip
    with write_atomically(path, "w") as file:
        json.dump(facts, file, indent=1)


def _table(suite: Suite, tasks: Sequence[str], options: argparse.Namespace) -> list[str]:
    lines = [
        "| task | score | rows | TF-IDF | stock | ours | stock, s | ours, s | ours is faster |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in tasks:
        by = suite.tasks[name].score
        facts = _facts(name, options)
        timings = {
            contender: Timing(seconds=tuple(each["seconds"] for each in facts[contender])) for contender in CONTENDERS
        }
        counted = facts["ours"][0]["baseline"].get(by)
        lines.append(
            f"| {name} | {by} | {facts['ours'][0]['rows']:,} | {'' if counted is None else f'{counted:.3f}'} | "
            + " | ".join(_shown([each["test"][by] for each in facts[contender]]) for contender in ("stock", "ours"))
            + " | "
            + " | ".join(f"{timings[contender].median:,.0f}" for contender in ("stock", "ours"))
            + f" | {times_faster(timings['stock'], timings['ours'])} |"
        )
    return lines


def _facts(name: str, options: argparse.Namespace) -> dict[str, list[Mapping[str, Any]]]:
    """Of a task, by contender, one a seed."""
    return {
        contender: [json.loads((options.out / f"{name}-{seed}-{contender}.json").read_text()) for seed in options.seeds]
        for contender in CONTENDERS
    }


def _draw(suite: Suite, tasks: Sequence[str], options: argparse.Namespace, path: Path) -> None:
    """Of the first seed, a column a task: the loss while training, and below it the score of the validation rows."""
    height = -(-len(tasks) // COLUMNS)
    figure = Figure(figsize=(3 * COLUMNS, 3.6 * height), layout="constrained")
    axes = figure.subplots(2 * height, COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for number, name in enumerate(tasks):
        row, column = divmod(number, COLUMNS)
        loss, score = axes[2 * row][column], axes[2 * row + 1][column]
        key = f"eval_{suite.tasks[name].score}"
        for contender, facts in _facts(name, options).items():
            for axis, what, mark in ((loss, "loss", ""), (score, key, "o")):
                points = [(line["epoch"], line[what]) for line in facts[0]["curve"] if what in line]
                axis.plot(*zip(*points, strict=True), label=contender, marker=mark, markersize=3, **LINES[contender])
        loss.set_title(name)
        score.set_xlabel("epochs")
        for axis, label in ((loss, "loss"), (score, f"validation {suite.tasks[name].score}")):
            axis.set_visible(True)
            axis.set_ylabel(label)
            axis.grid(alpha=0.25)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False)
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=80)


def _shown(scores: Sequence[float]) -> str:
    middle = f"{statistics.median(scores):.3f}"
    return middle if len(scores) == 1 else f"{middle} [{min(scores):.3f}, {max(scores):.3f}]"


def _page(lines: list[str], options: argparse.Namespace, load_before: float) -> str:
    return "\n".join([
        "# Fine-tuning, task by task",
        "",
        f"Written by `python benchmarks/tasks.py` ({options.model}, suite {options.suite}, {'one seed' if len(options.seeds) == 1 else f'{len(options.seeds)} seeds'}"
        + (f", {' '.join(options.settings)}" if options.settings else "") + "), runs alternating.",
        "",
        examine().line(load_before),
        "",
        *lines,
        "",
        "Scores of the test rows, median and range over the seeds; seconds of the whole run, evaluations included. Stock is the same "
        "recipe with `accelerate: false`: transformers' own forward on padded batches in the same order. For comparing the columns, "
        "not with papers.",
        "",
        f"![Training loss and validation score of every task]({PAGE.with_suffix('.png').name})",
        "",
        f"Training loss and validation score, seed {options.seeds[0]}.",
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
