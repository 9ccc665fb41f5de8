"""A rich `Progress` that degrades to plain lines. Reached through `log.progress`, which imports rich late."""

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0


class Bar(Progress):
    """`Progress` with named text columns, set by `update(task, advance=1, loss="2.31")`."""

    def __init__(
        self,
        fields: tuple[str, ...],
        *,
        show: Literal["bars", "lines", "nothing"],
        get_time: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            *map(_Field, fields),
            console=Console(stderr=True),
            redirect_stdout=False,  # rich would move printed results from stdout to our stderr
            refresh_per_second=4,
            speed_estimate_period=60,
            get_time=get_time,
            disable=show != "bars",
        )
        self._fields = fields
        self._prints_lines = show == "lines"
        self._next_line = self.get_time() + _SECONDS_BETWEEN_LINES

    def update(self, task_id: TaskID, **changes: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change a task: `advance`, `completed`, `total`, `description`, or any of the text columns."""
        super().update(task_id, **changes)  # pyright: ignore[reportArgumentType]
        self._print_when_due()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Move a task on by that many steps."""
        super().advance(task_id, advance)
        self._print_when_due()

    def stop(self) -> None:
        """Close the display; plain lines end with how far each task came."""
        super().stop()
        self._print()

    def _print_when_due(self) -> None:
        if self._prints_lines and self.get_time() >= self._next_line:
            self._next_line = self.get_time() + _SECONDS_BETWEEN_LINES
            self._print()

    def _print(self) -> None:
        for task in self.tasks if self._prints_lines else ():
            sys.stderr.write(_line(task, self._fields) + "\n")
        sys.stderr.flush()


class _Field(ProgressColumn):
    """A text the caller sets; empty until then."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def render(self, task: Task) -> Text:
        """The text as it is: brackets in it are not markup."""
        return Text(str(task.fields.get(self.name, "")))


def _line(task: Task, fields: tuple[str, ...]) -> str:
    """`encoding: 1,200 of 5,000 (24%), 0:00:10 so far, 0:00:32 left, 3,120 tokens/s`."""
    parts = [f"{task.completed:,.12g}"]
    if task.total is not None:
        parts = [f"{task.completed:,.12g} of {task.total:,.12g} ({task.percentage:.0f}%)"]
    parts.append(f"{timedelta(seconds=int(task.elapsed or 0))} so far")
    if task.time_remaining:
        parts.append(f"{timedelta(seconds=int(task.time_remaining))} left")
    parts += [str(task.fields[name]) for name in fields if name in task.fields]
    return f"{task.description}: {', '.join(parts)}"
