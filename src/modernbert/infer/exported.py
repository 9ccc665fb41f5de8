"""A folder that `modernbert export onnx|openvino` wrote, run without torch.

Takes a model's place in an `Engine` and in the predictors: lists of ids go in, one array a document comes out.

Shapes:  t tokens of one document   C labels   D width   V vocabulary
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from modernbert.core.errors import CheckpointError, UnsupportedError, UserError
from modernbert.infer.padding import padded
from modernbert.infer.runtimes import Backend, Session, open_session
from modernbert.model.config import ModelConfig
from modernbert.model.hf_config import from_file
from modernbert.text.tokenizer import Tokenizer

Result = TypeVar("Result")

Head = Literal[
    "fill-mask", "text-classification", "token-classification", "question-answering", "multiple-choice",
    "embedding", "late", "trunk",
]  # fmt: skip
"""What a graph gives; the Hub's words where it has one."""

FILE = "export.json"

POOLED: tuple[Head, ...] = ("text-classification", "multiple-choice", "embedding")
"""Heads that give one row a document; the others give one a token."""

_PLACES = 4096
"""Tokens and padding of a batch: eight times 512; more only leaves the cache of a CPU."""

_NUMBERS = 1 << 26
"""Of one output: logits over a vocabulary are many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What export.json says."""

    head: Head
    precision: str
    backend: Backend
    file: str
    """The graph, from the folder."""
    outputs: tuple[str, ...]
    """What is read of it: one, but start and end logits for answers."""
    longest: int
    """Tokens of a text, special ones included."""
    width: int
    """Numbers in a row of the output."""
    source: str
    """The model it was made of, as it was named."""
    source_hash: str
    """Of that model's folder."""
    worst_difference: float
    """From the source, as a share of the largest number in the row (docs/export.md)."""
    drop: float | None = None
    """Points of quality that rounding took; absent where nothing was rounded."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of what wrote it."""


def open_exported(source: str | Path, head: Head, *, dtype: object = "auto", device: str = "cpu") -> "Exported | None":
    """An exported folder that gives this; none where `source` is something else: a Hub id, a packaged name, weights.

    Args:
        dtype: and `device`, as `load` takes them: an exported graph was written for one, and for a CPU.

    Raises:
        CheckpointError: its graph ends in another head, or a file in it is damaged.
        UserError: another dtype or device is asked for.
    """
    if not (Path(source) / FILE).is_file():
        return None
    if dtype != "auto" or device != "cpu":
        asked = f"dtype {dtype}" if dtype != "auto" else f"device {device}"
        raise UserError(
            f"{source}: found {asked}, expected none for an exported folder, whose graph says it: leave it out"
        )
    found = Exported(Path(source))
    if found.manifest.head != head:
        raise CheckpointError(
            f"{source}: found an export with the head {found.manifest.head!r}, expected {head!r}: export the model with "
            f"--head {head}"
        )
    return found


def refuse_exported(model: object, what: str) -> None:
    """Stop where weights are needed.

    Raises:
        UnsupportedError: the model, or what lies in the folder, is an exported graph.
    """
    folder = model.folder if isinstance(model, Exported) else model
    if isinstance(folder, str | Path) and (Path(folder) / FILE).is_file():
        raise UnsupportedError(
            f"{folder}: found an exported graph, expected a model for {what}: name the one that it was made of, "
            f"{read_manifest(Path(folder)).source!r}"
        )


def read_manifest(folder: Path) -> Manifest:
    """Read export.json.

    Raises:
        CheckpointError: it says something else.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(**{**found, "outputs": tuple(found["outputs"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): export the model again") from None


class Exported:
    """A graph in a runtime. Threads may share it."""

    def __init__(self, folder: Path, *, backend: Backend | None = None, threads: int | None = None) -> None:
        """Open a folder.

        Args:
            backend: absent: the one that it was exported for. OpenVINO runs ONNX files, too.
            threads: absent: as many as the runtime thinks right.

        Raises:
            CheckpointError: a file is missing or damaged.
            MissingExtraError: the runtime is not installed.
        """
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.config: ModelConfig = from_file(folder / "config.json")[0]
        if not (folder / "tokenizer.json").is_file():
            raise CheckpointError(f"{folder / 'tokenizer.json'} is missing: export the model again")
        self.tokenizer = Tokenizer.load(folder)
        self.backend: Backend = backend or self.manifest.backend
        self._run: Session = open_session(
            folder / self.manifest.file, self.backend, outputs=self.manifest.outputs, threads=threads
        )

    def rows(self, documents: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """One array a document, in float32: [C] or [D]; [t, C], [t, D] or [t, V]; of answers [2, t].

        Raises:
            UserError: a token id is outside the vocabulary.
        """
        if not documents:
            return []
        largest, smallest = max(map(max, documents)), min(map(min, documents))
        if smallest < 0 or largest >= self.config.vocab_size:
            raise UserError(
                f"token id {smallest if smallest < 0 else largest} is outside the vocabulary of {self.config.vocab_size}: is "
                "this the tokenizer the model was exported with?"
            )
        ids, mask = padded(documents, self.config.pad_token_id or 0)
        found = self._run(ids, mask)
        if self.manifest.head in POOLED:
            return list(found[0])
        lengths = enumerate(map(len, documents))
        if self.manifest.head == "question-answering":
            return [np.stack([each[row, :length] for each in found]) for row, length in lengths]
        return [found[0][row, :length] for row, length in lengths]


class Rectangles:
    """Batches of an exported model, for `Engine`: as `Batches` are for torch's."""

    def __init__(self, model: Exported) -> None:
        numbers = model.manifest.width if model.manifest.head == "fill-mask" else 1
        self.budget = max(1, min(_PLACES, _NUMBERS // numbers))
        self.rate = float("inf")
        """Tokens a second, of the last batch."""

    def run(
        self,
        read: Callable[[Any], Sequence[Result]],
        documents: Sequence[Sequence[int]],
        *,
        budget: int,
        number: int | None = None,
    ) -> list[Result]:
        """A batch's results; see `Batches.run`. They come by length, so that little is padded."""
        start = time.perf_counter()
        found = list(read(documents))
        self.rate = sum(map(len, documents)) / max(time.perf_counter() - start, 1e-9)
        return found
