"""How a fine-tuned model's outputs are meant: `prediction.json` beside its weights. Stock readers pass it over."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from modernbert.core.errors import CheckpointError
from modernbert.core.files import write_json

if TYPE_CHECKING:  # settings of fine-tuning, which who predicts has no use for
    from modernbert.tasks.config import Task

FILE = "prediction.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What was decided on the validation rows."""

    task: "Task | None" = None
    """Absent for models that others made."""
    temperature: float = 1.0
    """By which logits are divided before they become probabilities."""
    max_length: int | None = None
    """Tokens of the longest text in one piece; absent: what the model was trained for."""
    doc_stride: int = 128

    def save(self, folder: Path) -> None:
        """Write it into a model's folder."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Of a model's folder; the defaults where it has none.

        Raises:
            CheckpointError: the file says something else.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            made = cls(**{f.name: found[f.name] for f in fields(cls) if f.name in found})
            if not made.temperature > 0:
                raise ValueError(f"temperature is {made.temperature}")
        except (ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path} cannot be read ({error}): fetch or write the model again, or remove the file"
            ) from None
        return made

    def shares(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities over the last axis, after the temperature."""
        return softmax(np.asarray(logits, dtype=np.float64) / self.temperature)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float64."""
    exact = np.asarray(logits, dtype=np.float64)
    weights = np.exp(exact - exact.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
