"""Settings of the demonstration; no torch here, so `--help` stays instant."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the demonstration does; the defaults are meant for two CPU cores."""

    text: Path | None = None
    """A file or folder of text to learn from; absent: the Python standard library on this machine."""
    out: Path = Path("runs/demo")
    """Where the model and the report go; an earlier demonstration there is replaced."""
    minutes: float = 3.0
    """How long pre-training may take."""
    vocab_size: int = 2048
    """Tokens of the vocabulary that is trained first."""
    seed: int = 17

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 24 * 60:
            raise ValueError(f"minutes: found {self.minutes}, expected more than 0 and at most a day")
