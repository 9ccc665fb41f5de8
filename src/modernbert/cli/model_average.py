"""`modernbert model average`: one model out of several of the same shape."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from modernbert.model.average import Mean, Ties


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """Average models of one config: checkpoints of a run, or fine-tuned models of one base."""

    models: tyro.conf.Positional[tuple[str, ...]]
    """Folders or Hub ids; config and tokenizer are the first one's."""
    out: Path
    """A new folder."""
    method: Literal["mean", "ties"] = "mean"
    """ties: trim each model's changes of --base, elect a sign, average those that agree (arXiv 2306.01708)."""
    weights: tuple[float, ...] = ()
    """For mean: one a model; absent: all equal."""
    base: str | None = None
    """For ties: what all the models were trained from."""
    density: float | None = None
    """For ties: share of each model's changes that counts, the largest ones; absent: 0.2."""
    scale: float | None = None
    """For ties: how much of the merged change is added to the base; absent: 1."""

    def run(self) -> None:
        """Average and write."""
        from modernbert.model.average import average

        method = self._method()
        average(self.models, self.out, method)
        print(f"{self.out}: {self.method} of {len(self.models)} models")

    def _method(self) -> "Mean | Ties":
        from modernbert.core.errors import UserError
        from modernbert.model.average import Mean, Ties

        of_ties = {"base": self.base, "density": self.density, "scale": self.scale}
        given = {name: value for name, value in of_ties.items() if value is not None}
        if self.method == "mean":
            if given:
                raise UserError(f"--{min(given)} belongs to --method ties, found --method mean: drop one of the two")
            return Mean(weights=self.weights or None)
        if self.weights:
            raise UserError("--weights belongs to --method mean, found --method ties: drop one of the two")
        if self.base is None:
            raise UserError("--method ties wants --base, the model that all the others were trained from: found none")
        return Ties(**given)  # type: ignore[arg-type]
