"""Which steps not to make, so that one bad batch does not cost a run."""

from collections import deque
from math import isfinite
from statistics import median
from typing import Literal, TypedDict

from modernbert.core.errors import UserError
from modernbert.train.config import Guard

_REMEMBERED = 100
_NEEDED = 20  # the first norms of a run fall fast, and a median of few of them says little


class TrainingError(UserError):
    """Training went wrong and does not mend itself."""


class WatchState(TypedDict):
    """What a watch knows, as plain JSON."""

    norms: list[float]
    in_a_row: int
    num_skipped: int


class Watch:
    """Judges every step by its loss and gradient norm; each device of a run must hand in the same two numbers."""

    def __init__(self, settings: Guard) -> None:
        self.num_skipped = 0
        self._settings = settings
        self._norms: deque[float] = deque(maxlen=_REMEMBERED)
        self._in_a_row = 0

    def judge(self, loss: float, grad_norm: float) -> Literal["step", "skip"]:
        """Whether to make the step. A loss or norm that is not finite is skipped whatever the settings.

        Raises:
            TrainingError: this is the last of `patience` skipped steps in a row.
        """
        trouble = self._trouble(loss, grad_norm)
        if trouble is None:
            self._norms.append(grad_norm)
            self._in_a_row = 0
            return "step"
        self.num_skipped += 1
        self._in_a_row += 1
        if self._in_a_row >= self._settings.patience:
            raise TrainingError(
                f"{self._in_a_row} steps in a row were skipped, the last because {trouble}: go on from the last good "
                "checkpoint with a lower lr, look at the rows of these steps, or change guard.spike and guard.patience"
            )
        return "skip"

    def state(self) -> WatchState:
        """All that later judgements depend on."""
        return {"norms": list(self._norms), "in_a_row": self._in_a_row, "num_skipped": self.num_skipped}

    def resume(self, state: WatchState) -> None:
        """Judge from here on as the watch that gave this state."""
        self._norms = deque(state["norms"], maxlen=_REMEMBERED)
        self._in_a_row, self.num_skipped = state["in_a_row"], state["num_skipped"]

    def _trouble(self, loss: float, grad_norm: float) -> str | None:
        if not isfinite(loss):
            return f"the loss is {loss}"
        if not isfinite(grad_norm):
            return f"the gradient norm is {grad_norm}"
        if self._settings.spike == 0 or len(self._norms) < _NEEDED:
            return None
        usual = median(self._norms)
        if grad_norm <= self._settings.spike * usual:
            return None
        return f"the gradient norm is {grad_norm:.3g}, more than {self._settings.spike:g} times the usual {usual:.3g}"
