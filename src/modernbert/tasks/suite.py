"""A suite: many fine-tuning runs of one model, each a JSON that is written once, and the table that they come to.

out/
  TASK/seed-19/...      a run each, as `modernbert finetune` leaves it; only the runs that others start from keep their model
  TASK-seed-19.json     its scores
  table.md
"""

import json
import shutil
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from modernbert.core.config import read, to_plain
from modernbert.core.errors import ConfigError, UserError
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.tasks.config import Finetune

_FOLDER = files("modernbert.recipes") / "suites"
_KEPT = ("recipe.yaml", "metrics.jsonl", "results.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteTask:
    """One row of the table."""

    score: str
    """Which of the run's scores counts."""
    start: str | None = None
    """Task whose fine-tuned model this one starts from, with the same seed; its head is drawn anew."""
    common: dict[str, str | float | int | bool | dict[str, str]]
    """Settings at any size."""
    base: dict[str, str | float | int | bool] = field(default_factory=dict)
    large: dict[str, str | float | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What is run, and what others reached."""

    title: str
    hub: str | None = None
    """Set of the Hub whose configurations are the tasks; absent: local folders only."""
    seeds: list[int]
    common: dict[str, str | float | int | bool] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    """Parameters of the models that `base` and `large` are for."""
    tasks: dict[str, SuiteTask]
    published: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, task in self.tasks.items():
            if task.start is not None and task.start not in self.tasks:
                raise ConfigError(f"tasks.{name}.start is {task.start!r}, expected one of {', '.join(self.tasks)}")


def read_suite(name: str) -> Suite:
    """A shipped suite by its name, or a file.

    Raises:
        ConfigError: there is none.
    """
    if name.endswith((".yaml", ".yml")):
        return read(Suite, name)
    if name not in suite_names():
        raise ConfigError(f"there is no suite {name!r}, found {', '.join(suite_names())}: name one, or a .yaml file")
    return read(Suite, str(_FOLDER / f"{name}.yaml"))


def suite_names() -> list[str]:
    """The shipped suites."""
    return sorted(Path(str(entry)).stem for entry in _FOLDER.iterdir() if str(entry).endswith(".yaml"))


def runs(
    suite: Suite,
    model: str,
    out: Path,
    *,
    data: Path | None,
    size: str,
    tasks: Sequence[str],
    seeds: Sequence[int],
    changes: Sequence[str] = (),
) -> Iterator[tuple[str, int, Finetune]]:
    """Every run, those that others start from first.

    Args:
        data: a folder with one folder a task; absent: the Hub.
        size: base or large.
        changes: settings over all runs, such as max_train_samples=1000; or over one task's: sst2.max_train_samples=1000.
            A task whose `model` is set (rte.model=nano) needs no other before it.
    """
    own = {name: _of_task(changes, name, suite.tasks) for name in suite.tasks}
    chained = (name for name in tasks if not any(change.startswith("model=") for change in own[name]))
    wanted = {start for name in chained if (start := suite.tasks[name].start)} | set(tasks)
    ordered = sorted(wanted, key=lambda name: (suite.tasks[name].start is not None, list(suite.tasks).index(name)))
    for name in ordered:
        task = suite.tasks[name]
        if data is None and suite.hub is None:
            raise UserError(f"the suite {suite.title} has local sets only: say where they are with --data FOLDER")
        for seed in seeds:
            settings: dict[str, object] = {
                **suite.common, **task.common, **(task.large if size == "large" else task.base),
                "dataset": str(data / name) if data is not None else suite.hub,
                "model": model if task.start is None else str(out / task.start / f"seed-{seed}" / "model"),
                "out": str(out / name / f"seed-{seed}"),
                "seed": seed,
            }  # fmt: skip
            if data is None:
                settings["subset"] = name
            yield name, seed, read(Finetune, settings, overrides=own[name])


def _of_task(changes: Sequence[str], task: str, tasks: Collection[str]) -> list[str]:
    """Those over all runs, then its own, without its name."""
    general = [change for change in changes if change.split(".")[0] not in tasks]
    return general + [change.removeprefix(f"{task}.") for change in changes if change.startswith(f"{task}.")]


def run_suite(suite: Suite, planned: Sequence[tuple[str, int, Finetune]], out: Path) -> dict[str, list[float]]:
    """Run what has no scores yet; scores by task, one a seed."""
    from modernbert.tasks.finetune.run import finetune

    found: dict[str, list[float]] = {}
    starts = {task.start for task in suite.tasks.values()}
    for number, (name, seed, settings) in enumerate(planned, start=1):
        path = out / f"{name}-seed-{seed}.json"
        if not path.exists():
            say(f"{number} of {len(planned)}: {name}, seed {seed}")
            outcome = finetune(settings)
            if not outcome.is_finished:
                raise UserError(f"{name}, seed {seed} was stopped: the same command goes on")
            facts = {
                "task": name,
                "seed": seed,
                "score": suite.tasks[name].score,
                "test": dict(outcome.test),
                "validation": dict(outcome.validation),
                "seconds": outcome.seconds,
                "settings": to_plain(settings),
            }
            with write_atomically(path, "w") as file:
                json.dump(facts, file, indent=1)
            _tidy(settings.out, keep_model=name in starts)
        scores = json.loads(path.read_text(encoding="utf-8"))["test"]
        if suite.tasks[name].score not in scores:
            raise UserError(f"{path}: there is no score {suite.tasks[name].score!r}, found {', '.join(scores)}")
        found.setdefault(name, []).append(scores[suite.tasks[name].score])
    return found


def read_scores(suite: Suite, out: Path) -> dict[str, list[float]]:
    """Scores by task that are in a folder already, by seed."""
    found: dict[str, dict[int, float]] = {}
    for path in out.glob("*-seed-*.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["task"] in suite.tasks:
            found.setdefault(facts["task"], {})[facts["seed"]] = facts["test"][suite.tasks[facts["task"]].score]
    return {name: [scores[seed] for seed in sorted(scores)] for name, scores in found.items()}


def table(
    suite: Suite,
    found: Mapping[str, Sequence[float]],
    *,
    name: str,
    against: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Markdown: median and range over seeds, beside what is published; and how sure a difference to another model is."""
    tasks = [task for task in suite.tasks if task in found]
    heads = ["", *(f"{task} ({suite.tasks[task].score})" for task in tasks), "mean"]
    rows = [[name, *(_shown(found[task]) for task in tasks), _mean([statistics.median(found[task]) for task in tasks])]]
    if against is not None:
        both = [task for task in tasks if task in against]
        rows.append(
            ["the other", *(_shown(against[task]) if task in both else "" for task in tasks), _mean([statistics.median(against[task]) for task in both])]
        )  # fmt: skip
        rows.append(
            [
                "p of the difference",
                *(_significance(found[task], against[task]) if task in both else "" for task in tasks),
                "",
            ]
        )
    for other, scores in suite.published.items():
        known = [scores[task] for task in tasks if task in scores]
        if known:
            rows.append(
                [
                    f"{other} (published)",
                    *(f"{100 * scores[task]:.1f}" if task in scores else "" for task in tasks),
                    _mean(known),
                ]
            )
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
    return "\n".join(
        [
            f"# {suite.title}: {name}",
            "",
            *lines,
            "",
            "Median over seeds, their range in brackets; p by Mann-Whitney's U test over seeds.",
            "",
        ]
    )


def _shown(scores: Sequence[float]) -> str:
    median = f"{100 * statistics.median(scores):.1f}"
    return median if len(scores) == 1 else f"{median} [{100 * min(scores):.1f}, {100 * max(scores):.1f}]"


def _mean(scores: Sequence[float]) -> str:
    return f"{100 * statistics.mean(scores):.1f}" if scores else ""


def _significance(one: Sequence[float], other: Sequence[float]) -> str:
    if min(len(one), len(other)) < 3:
        return "too few seeds"
    from scipy.stats import mannwhitneyu

    return f"{mannwhitneyu(one, other).pvalue:.3f}"


def _tidy(folder: Path, *, keep_model: bool) -> None:
    """Checkpoints of five seeds of nine tasks would fill a disk."""
    for path in folder.iterdir():
        if path.name in _KEPT or (keep_model and path.name == "model"):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
