"""What a person sees while a run goes on: one live line on stderr, or a plain one every ten seconds in a log."""

from types import TracebackType
from typing import Self

from modernbert.core.log import progress, say
from modernbert.train.config import Recipe
from modernbert.train.evaluation import Score
from modernbert.train.step import Outcome


class View:
    """The progress of a run, shown by the first process."""

    def __init__(self, recipe: Recipe, *, shows: bool) -> None:
        self._bar = progress("loss", "speed", "use", "held out") if shows else None
        self._total = sum(stage.tokens for stage in recipe.stages.values())
        self._task = self._bar.add_task("pre-training", total=self._total) if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, stage: str, tokens: int, outcome: Outcome, *, speed: float, share: float) -> None:
        """A step was made: `speed` in tokens/s, `share` of the matrix-multiply rate."""
        if self._bar is None or self._task is None:
            return
        self._bar.update(
            self._task,
            description=stage,
            completed=min(tokens, self._total),
            loss=f"loss {outcome.loss:.3f}",
            speed=f"{speed:,.0f} tokens/s",
            use=f"{share:.0%} of matmul",
        )

    def scores(self, stage: str, tokens: int, scores: dict[str, Score]) -> None:
        """An evaluation is done."""
        if self._bar is None or self._task is None or not scores:
            return
        shown = ", ".join(f"{name} {score.loss:.3f} ({score.accuracy:.1%})" for name, score in scores.items())
        self._bar.update(self._task, **{"held out": f"held out {shown}"})
        say(f"{stage}, {tokens:,} tokens: held-out loss (accuracy): {shown}")
