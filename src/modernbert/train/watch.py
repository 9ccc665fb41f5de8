"""What a person sees of a run, what is written down, and when it stops: a callback of transformers' Trainer."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from modernbert.core.errors import UserError
from modernbert.core.log import progress

METRICS = "metrics.jsonl"


def watch(transformers: Any, out: Path, *, called: str = "fine-tuning") -> Any:
    """The callback; a context manager around training that shows a bar and listens for signals."""

    class Watch(_Watch, transformers.TrainerCallback):
        pass

    return Watch(out, transformers.utils.logging, called)


class _Watch:
    def __init__(self, out: Path, logging: Any, called: str) -> None:
        self._logging = logging
        self._called = called
        self._path = out / METRICS
        self._said = {"loss": "", "held out": ""}
        self.was_stopped = False

    def __enter__(self) -> "_Watch":
        from modernbert.train.signals import stoppable

        self._stack = ExitStack()
        self._is_asked = self._stack.enter_context(stoppable())
        self._stack.enter_context(_without_stock_bars(self._logging))
        self._bar = self._stack.enter_context(progress("loss", "held out"))
        self._task = self._bar.add_task(self._called, total=None)
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)
        kept = [
            line for line in _lines(self._path) if line["step"] <= state.global_step
        ]  # measured after the checkpoint
        self._path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.update(self._task, completed=state.global_step)
        if self._is_asked() and state.global_step < state.max_steps:
            self.was_stopped = True
            control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.was_stopped:  # an epoch that was cut short is not measured, and its checkpoint is written already
            control.should_evaluate = control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        loss, norm = logs.get("loss"), logs.get("grad_norm")
        if (loss is not None and not math.isfinite(loss)) or (norm is not None and not math.isfinite(norm)):
            what = (
                f"the loss is {loss}"
                if loss is not None and not math.isfinite(loss)
                else f"the gradient's norm is {norm}"
            )
            raise UserError(
                f"{what} at step {state.global_step}, so nothing after it would be learnt: lower --learning-rate "
                f"(found {args.learning_rate:g}), look for rows without a meaning, or train in float32 with --no-bf16"
            )
        line = {"step": state.global_step, "epoch": round(state.epoch or 0, 4), "time": round(time.time(), 1)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | logs) + "\n")
        if loss is not None:
            self._said["loss"] = f"{loss:.4f}"
        best = (args.metric_for_best_model or "").removeprefix("eval_")
        if (held_out := logs.get(f"eval_{best}")) is not None:
            self._said["held out"] = f"{best} {held_out:.4f}"
        self._bar.update(self._task, **self._said)


@contextmanager
def _without_stock_bars(logging: Any) -> Iterator[None]:
    """transformers shows a bar for every file that it writes."""
    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break  # cut off by a crash
    return found


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """All that was measured in a run, in order."""
    return _lines(out / METRICS)
