"""`modernbert evaluate`: a model on a suite of tasks, or one task at several learning rates."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSuite:
    """Fine-tune on every task of a suite, several seeds each, and print the table; the same command goes on after a stop."""

    suite: tyro.conf.Positional[str]
    """glue, basics, or a .yaml file."""
    settings: tyro.conf.Positional[tuple[str, ...]] = ()
    """Settings over all runs, such as max_train_samples=1000 tuner=lora, or over one task's: sst2.max_train_samples=1000."""
    model: str = DEFAULT
    """A packaged model, a folder or a Hub id."""
    data: Path | None = None
    """A folder with one folder a task (train, validation, test files); absent: the Hub."""
    size: Literal["base", "large"] = "base"
    """Whose settings, where a suite has them by size."""
    tasks: tuple[str, ...] = ()
    """Absent: all."""
    seeds: tuple[int, ...] = ()
    """Absent: the suite's own."""
    against: Path | None = None
    """Folder of another model's results on the same suite: adds how sure the differences are."""
    out: Path | None = None
    """Absent: runs/evaluate/SUITE-MODEL."""
    dry_run: bool = False
    """Print the runs and stop there."""
    json: bool = False
    """Print scores as one JSON object."""

    def run(self) -> None:
        """Run what is not there, and print."""
        from modernbert.core.errors import UserError
        from modernbert.core.files import write_atomically
        from modernbert.tasks.suite import read_scores, read_suite, run_suite, runs, table

        suite = read_suite(self.suite)
        if unknown := [task for task in self.tasks if task not in suite.tasks]:
            raise UserError(f"--tasks: found {unknown[0]!r}, expected some of {', '.join(suite.tasks)}")
        out = self.out or Path("runs/evaluate") / f"{Path(self.suite).stem}-{Path(self.model).name}"
        tasks = self.tasks or tuple(suite.tasks)
        planned = list(
            runs(
                suite, self.model, out, data=self.data, size=self.size, tasks=tasks,
                seeds=self.seeds or suite.seeds, changes=self.settings,
            )
        )  # fmt: skip
        if self.dry_run:
            for name, seed, settings in planned:
                print(
                    f"{name}, seed {seed}: {settings.rate:g} for {settings.num_train_epochs:g} epochs from {settings.model}"
                )
            return
        found = run_suite(suite, planned, out)
        other = read_scores(suite, self.against) if self.against else None
        text = table(suite, {task: found[task] for task in tasks}, name=self.model, against=other)
        with write_atomically(out / "table.md", "w") as file:
            file.write(text)
        print(json.dumps(found) if self.json else text, end="\n" if self.json else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Fine-tune one recipe at several learning rates, and say which was best on the validation rows."""

    recipes: tyro.conf.Positional[tuple[str, ...]]
    """Names, files and settings, as modernbert finetune takes them: imdb dataset=reviews max_train_samples=2000"""
    learning_rates: tuple[float, ...] = (1e-5, 3e-5, 5e-5, 8e-5)
    """The paper's four by default."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Run each, print all."""
        from dataclasses import replace

        from modernbert.core.errors import UserError
        from modernbert.tasks.config import METRICS
        from modernbert.tasks.finetune.run import finetune
        from modernbert.tasks.recipes import read_recipe

        settings = read_recipe(self.recipes)
        name = METRICS[settings.task][0] if settings.best_by == "loss" else settings.best_by
        found: dict[float, float] = {}
        for rate in self.learning_rates:
            outcome = finetune(replace(settings, learning_rate=rate, out=settings.out / f"lr-{rate:g}"))
            if not outcome.is_finished:
                raise UserError(f"the run at {rate:g} was stopped: the same command goes on")
            found[rate] = outcome.validation[name]
        is_error = name in ("mae", "rmse")
        best = (min if is_error else max)(found, key=lambda rate: found[rate])
        if self.json:
            print(json.dumps({"score": name, "found": found, "best": best}))
            return
        for rate, score in found.items():
            print(f"{rate:g}  {name} {score:.4f}{'  best' if rate == best else ''}")
