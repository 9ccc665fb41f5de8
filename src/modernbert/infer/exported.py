"""A folder that `modernbert export onnx|openvino` wrote, run without torch: a light model around a graph in a runtime."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import numpy as np

from modernbert.core.errors import CheckpointError, UnsupportedError, UserError
from modernbert.infer.light import POOLED, Head, Light
from modernbert.infer.padding import padded
from modernbert.infer.runtimes import Backend, Session, open_session
from modernbert.model.hf_config import from_file
from modernbert.text.tokenizer import Tokenizer

FILE = "export.json"


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
    calibrated_on: int | None = None
    """Tokens that the scales of activations were found on; absent: they are found for each batch, or nothing is rounded."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of what wrote it."""


def is_exported(source: object) -> TypeGuard[str | Path]:
    """Whether it is the path of an exported folder."""
    return isinstance(source, str | Path) and (Path(source) / FILE).is_file()


def open_exported(source: str | Path, head: Head, *, dtype: object = "auto", device: str = "cpu") -> "Exported | None":
    """An exported folder that gives this; none where `source` is something else: a Hub id, a packaged name, weights.

    Args:
        dtype: and `device`, as `load` takes them: an exported graph was written for one, and for a CPU.

    Raises:
        CheckpointError: its graph ends in another head, or a file in it is damaged.
        UserError: another dtype or device is asked for.
    """
    if not is_exported(source):
        return None
    if dtype != "auto" or device != "cpu":
        asked = f"dtype {dtype}" if dtype != "auto" else f"device {device}"
        raise UserError(
            f"{source}: found {asked}, expected none for an exported folder, whose graph says it: leave it out"
        )
    found = Exported(Path(source))
    if found.head != head:
        raise CheckpointError(
            f"{source}: found an export with the head {found.head!r}, expected {head!r}: export the model with "
            f"--head {head}"
        )
    return found


def refuse_exported(model: object, what: str) -> None:
    """Stop where a module is needed.

    Raises:
        UnsupportedError: the model, or what lies in the folder, is an exported graph; or NumPy has it, for a few texts.
    """
    folder = model.folder if isinstance(model, Light) else model
    if isinstance(model, Light) and not isinstance(model, Exported):
        raise UnsupportedError(
            f"{folder}: found a model that was opened for a few texts, expected one for {what}: open it by from_pretrained"
        )
    if is_exported(folder):
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


class Exported(Light):
    """A graph in a runtime."""

    def __init__(self, folder: Path, *, backend: Backend | None = None, threads: int | None = None) -> None:
        """Open a folder.

        Args:
            backend: absent: the one that it was exported for. OpenVINO runs ONNX files, too.
            threads: absent: as many as the runtime thinks right.

        Raises:
            CheckpointError: a file is missing or damaged.
            MissingExtraError: the runtime is not installed.
        """
        self.manifest = said = read_manifest(folder)
        config = from_file(folder / "config.json")[0]
        if not (folder / "tokenizer.json").is_file():
            raise CheckpointError(f"{folder / 'tokenizer.json'} is missing: export the model again")
        super().__init__(folder, config, Tokenizer.load(folder), head=said.head, width=said.width)
        self.backend: Backend = backend or said.backend
        self._run: Session = open_session(folder / said.file, self.backend, outputs=said.outputs, threads=threads)

    def _rows(self, documents: Sequence[Sequence[int]]) -> list[np.ndarray]:
        ids, mask = padded(documents, self.config.pad_token_id or 0)
        found = self._run(ids, mask)
        if self.head in POOLED:
            return list(found[0])
        lengths = enumerate(map(len, documents))
        if self.head == "question-answering":
            return [np.stack([each[row, :length] for each in found]) for row, length in lengths]
        return [found[0][row, :length] for row, length in lengths]
