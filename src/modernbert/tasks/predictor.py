"""What every predictor is: a fine-tuned model of one kind, its tokenizer, how its outputs are meant, and the engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np

from modernbert.core.errors import CheckpointError
from modernbert.infer.engine import Engine, Room, longest_text
from modernbert.infer.exported import open_exported
from modernbert.infer.few import Given
from modernbert.infer.instant import open_instant
from modernbert.infer.light import Head
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.tasks.prediction import Prediction
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # an exported model runs where torch is not installed
    from modernbert.model.heads import Classifier
    from modernbert.model.store import Dtype

Model = TypeVar("Model", bound="Classifier")


class Predictor(Generic[Model]):
    """A model that was fine-tuned for one task, ready for any number of texts."""

    ARCHITECTURE: ClassVar[str]
    """What config.json must name; a head drawn anew would answer, and mean nothing."""
    EXPORTED: ClassVar[Head]
    """What an exported folder must give."""
    HEAD: ClassVar[str | None] = None
    """The head that the bare name of a packaged model stands for."""

    def __init__(self, model: Model, tokenizer: Tokenizer, prediction: Prediction) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.prediction = prediction
        self.longest = min(longest_text(model.config, tokenizer), prediction.max_length or 2**31)
        self.engine = Engine(model, tokenizer, Room(longest=self.longest))

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dtype: "Dtype" = "auto", device: str = "cpu") -> Self:
        """From a packaged model, a folder or a Hub id, ours or anybody's; or from an exported folder, in its runtime.

        Args:
            source: the bare name of a packaged model means its head for this task, where it has one.

        Raises:
            CheckpointError: it holds a model of another kind.
        """
        if (exported := open_exported(source, cls.EXPORTED, dtype=dtype, device=device)) is not None:
            return cls(cast("Model", exported), exported.tokenizer, Prediction.load(exported.folder))
        from modernbert.model.heads import ARCHITECTURES
        from modernbert.model.store import load

        folder = folder_of(source, head=cls.HEAD)
        _, architecture = from_file(folder / "config.json")
        if architecture != cls.ARCHITECTURE:
            raise CheckpointError(
                f"{folder}: found {architecture or 'no architecture'}, expected {cls.ARCHITECTURE}: name a model that was "
                "fine-tuned for this, or make one with modernbert finetune"
            )
        model = cast("Model", load(folder, ARCHITECTURES[architecture], dtype=dtype, device=device))
        return cls(model, Tokenizer.load(tokenizer_folder(folder)), Prediction.load(folder))

    @classmethod
    def for_texts(cls, source: str | Path, texts: Sequence[Given], *, dtype: "Dtype" = "auto") -> Self:
        """The same for these texts, for a process that has no others: what a few need of a small model, NumPy computes.

        Raises:
            CheckpointError: as `from_pretrained`.
        """
        folder = folder_of(source, head=cls.HEAD)
        if dtype == "auto" and (instant := open_instant(folder, cls.EXPORTED, texts)) is not None:
            return cls(cast("Model", instant), instant.tokenizer, Prediction.load(folder))
        return cls.from_pretrained(folder, dtype=dtype)

    def logits(self, batch: Any) -> list[np.ndarray]:
        """Before the temperature, one array a document of a batch, as the engine hands it over."""
        return self.model.rows(batch)  # type: ignore[operator]
