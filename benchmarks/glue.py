"""GLUE by a small model, beside what is published of large ones: the tasks that a folder has, five seeds each.

    python benchmarks/glue.py DATA                                     # writes docs/benchmarks-glue.md
    python benchmarks/glue.py DATA --seeds 19 --tasks rte --no-write   # one run of many; what is there is not run again

DATA has a folder a task, as `modernbert evaluate suite glue --data DATA` takes it, which is what this runs. Settings are the paper's
but for those given. A task whose start (MNLI) is not in DATA begins as the model itself.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from modernbert.bench.machine import examine
from modernbert.core.script import as_script
from modernbert.tasks.suite import Suite, read_suite, run_suite, runs, table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-glue.md"


def main(words: Sequence[str] | None = None) -> None:
    """Run what is not there yet, and write the page."""
    suite = read_suite("glue")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--tasks", nargs="+", choices=suite.tasks, default=[], help="absent: those of DATA")
    parser.add_argument("--seeds", nargs="+", type=int, default=suite.seeds)
    parser.add_argument("--settings", nargs="*", default=[], help="instead of the paper's, such as learning_rate=5e-4")
    parser.add_argument("--out", type=Path, default=Path("runs/glue"))
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-glue.md as it is")
    options = parser.parse_args(words)
    load_before = os.getloadavg()[0]
    there = [name for name in suite.tasks if (options.data / name).is_dir()]
    alone = [name for name in there if suite.tasks[name].start not in (None, *there)]
    changes = [*options.settings, *(f"{name}.model={options.model}" for name in alone)]
    planned = list(
        runs(
            suite, options.model, options.out, data=options.data, size="base", tasks=options.tasks or there,
            seeds=options.seeds, changes=changes,
        )
    )  # fmt: skip
    found = run_suite(suite, planned, options.out)
    text = table(suite, found, name=options.model)
    print(text)
    if not options.no_write:
        PAGE.write_text(_page(text, suite, list(found), alone, options, load_before), encoding="utf-8")


def _page(
    text: str, suite: Suite, tasks: Sequence[str], alone: Sequence[str], options: argparse.Namespace, load_before: float
) -> str:
    missing = [name for name in suite.tasks if name not in tasks]
    told = [
        "The settings are the paper's for ModernBERT-base"
        + (f", but for {' '.join(options.settings)}." if options.settings else ".")
    ]
    if missing:
        told.append(f"Not in the data, and not run: {', '.join(missing)}. Means are over the tasks of the table.")
    if alone:
        told.append(f"{', '.join(alone)} begin as {options.model} itself, not as a model of MNLI.")
    told.append("The published scores are of other splits where the data has labelled test rows: compare with care.")
    return "\n".join([
        text.strip(),
        "",
        " ".join(told),
        "",
        f"Written by `python benchmarks/glue.py` ({len(options.seeds)} seeds: {', '.join(map(str, options.seeds))}).",
        "",
        examine().line(load_before),
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
