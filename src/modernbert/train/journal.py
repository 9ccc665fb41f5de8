"""What a run leaves for people and programs: its folder, `metrics.jsonl`, and other people's dashboards.

    recipe.yaml      the recipe as it was meant, before this machine had a say
    resolved.json    every setting; `modernbert pretrain runs/x/resolved.json` repeats the run
    env.json         versions, device and commit
    data.json        what the folders of shards held
    metrics.jsonl    one line a step and one an evaluation

A resumed run takes back the lines after its checkpoint, so that the file reads as if nothing had happened.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import distributions
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from modernbert.core.claims import refuse_another
from modernbert.core.config import read, write
from modernbert.core.errors import ConfigError, UserError, require
from modernbert.core.files import write_atomically
from modernbert.train.config import Recipe
from modernbert.train.evaluation import Score

FREE = (
    *("run", "saving", "evaluation", "devices", "loggers", "guard"),
    *("data.num_workers", "data.held_out", "data.most_epochs"),
)
"""Settings that may change when a run goes on: they do not decide what is learnt."""


def claim(recipe: Recipe, fingerprints: Mapping[str, str]) -> None:
    """Make the run's folder, or check that the run in it is this one, on the same data.

    Raises:
        ConfigError: the folder holds a run of another recipe, or of other data.
    """
    folder = recipe.run
    before, data = folder / "resolved.json", folder / "data.json"
    if _has_begun(folder) and before.exists():
        refuse_another(read(Recipe, before), recipe, recipe=before, flag="--run", free=FREE, ordered=("stages",))
    if _has_begun(folder) and data.exists():
        _refuse_other_data(folder, json.loads(data.read_text(encoding="utf-8")), fingerprints)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(recipe, folder / "recipe.yaml")
        write(recipe, before)
        with write_atomically(folder / "env.json", "w") as file:
            json.dump(environment(), file, indent=2)
        with write_atomically(data, "w") as file:
            json.dump(dict(fingerprints), file, indent=2)
    except OSError as error:
        raise UserError(
            f"run: {folder} cannot be written ({error.strerror}): choose another folder with --run"
        ) from None


def environment() -> dict[str, object]:
    """Versions, device, commit: what a result may depend on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
        "command": sys.argv,
        "commit": _git("rev-parse", "HEAD"),
        "is_dirty": bool(_git("status", "--porcelain")),
        "packages": _packages(),
    }


class Metrics:
    """`metrics.jsonl` and the dashboards beside it."""

    def __init__(self, folder: Path, loggers: Sequence[str], *, from_step: int, settings: Mapping[str, object]) -> None:
        self._loggers = [_open_logger(name, folder, settings, from_step=from_step) for name in loggers]
        path = folder / "metrics.jsonl"
        _take_back(path, after=from_step)
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, step: int, facts: Mapping[str, object]) -> None:
        """One line, in which a number that is none is null; nested mappings become paths in the dashboards."""
        self._file.write(json.dumps(_finite({"kind": kind, "step": step, **facts}), allow_nan=False) + "\n")
        self._file.flush()
        for logger in self._loggers:
            logger.log({f"{kind}/{name}": value for name, value in _flat(facts)}, step)

    def close(self) -> None:
        """Finish the file and the dashboards."""
        self._file.close()
        for logger in self._loggers:
            logger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def read_metrics(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind, oldest first."""
    with (folder / "metrics.jsonl").open(encoding="utf-8") as lines:
        return [line for line in map(json.loads, lines) if line["kind"] == kind]


def last_scores(folder: Path) -> dict[str, Score]:
    """What the last evaluation of a run found, by held-out source."""
    lines = read_metrics(folder, "evaluation")
    return {name: Score(**value) for name, value in lines[-1].items() if isinstance(value, dict)} if lines else {}


class _TensorBoard:
    def __init__(self, folder: Path, settings: Mapping[str, object], *, from_step: int) -> None:
        require("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=from_step + 1)
        self._writer.add_text("recipe", f"```json\n{json.dumps(settings, indent=2)}\n```")

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Hosted:
    """Weights & Biases and Trackio share their three verbs."""

    def __init__(self, module: str, folder: Path, settings: Mapping[str, object]) -> None:
        self._module = require(module)
        self._module.init(project="modernbert", name=folder.name, config=dict(settings))

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._module.log(dict(values), step=step)

    def close(self) -> None:
        self._module.finish()


def _open_logger(name: str, folder: Path, settings: Mapping[str, object], *, from_step: int) -> _TensorBoard | _Hosted:
    if name == "tensorboard":
        return _TensorBoard(folder, settings, from_step=from_step)
    return _Hosted(name, folder, settings)


def _has_begun(folder: Path) -> bool:
    """Whether there is anything to go on with; a recipe that was refused at its start may be mended."""
    metrics = folder / "metrics.jsonl"
    return (folder / "checkpoints").exists() or (metrics.exists() and metrics.stat().st_size > 0)


def _refuse_other_data(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [path for path, fingerprint in now.items() if before.get(path, fingerprint) != fingerprint]
    if changed:
        raise ConfigError(
            f"{folder} has read other tokens under {changed[0]} than are there now, so it could not go on exactly: put the "
            "old ones back, or choose another folder with --run"
        )


def _take_back(path: Path, *, after: int) -> None:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:  # the last line may be half: the run may have been killed
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= after]
    with write_atomically(path, "w") as file:
        file.writelines(kept)


def _finite(facts: object) -> object:
    """JSON knows no nan."""
    if isinstance(facts, Mapping):
        return {name: _finite(value) for name, value in facts.items()}
    return None if isinstance(facts, float) and not isfinite(facts) else facts


def _flat(facts: Mapping[str, object], at: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{at}{name}/")
        elif isinstance(value, int | float):
            found.append((f"{at}{name}", float(value)))
    return found


@cache
def _packages() -> dict[str, str]:
    """A second of reading small files where there are hundreds."""
    return {package.name: package.version for package in distributions()}


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
