"""What a model's folder says of itself, and what it will be called on the Hub."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, prod
from pathlib import Path

from modernbert.core.errors import CheckpointError, UserError
from modernbert.model.config import ModelConfig
from modernbert.model.folder import TOKENIZER_FILES, weight_files
from modernbert.model.hf_config import from_file

AUTO = {
    "ModernBertModel": ("AutoModel", "feature-extraction"),
    "ModernBertForMaskedLM": ("AutoModelForMaskedLM", "fill-mask"),
    "ModernBertForSequenceClassification": ("AutoModelForSequenceClassification", "text-classification"),
    "ModernBertForMultipleChoice": ("AutoModelForMultipleChoice", "multiple-choice"),
    "ModernBertForTokenClassification": ("AutoModelForTokenClassification", "token-classification"),
    "ModernBertForQuestionAnswering": ("AutoModelForQuestionAnswering", "question-answering"),
}
"""transformers' class that opens each architecture, and the Hub's word for what it does."""

TRAINING = "training.json"
"""How far training was: step, tokens, stage, and any further numbers, which the card prints as metrics."""

RECIPE = "recipe.yaml"
"""The resolved recipe: in the model's folder, beside it, or above the run's `published`."""

_BRANCH = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How far training was when the model was saved."""

    step: int
    tokens: int | None
    """Read until then; absent where nobody counted."""
    stage: str | None
    """Name of the recipe's stage; absent where there are none."""
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A model's folder as it will stand on the Hub."""

    name: str
    """The branch: step-1000 where the folder says its step, else the folder's own name."""
    folder: Path
    files: tuple[Path, ...]
    left_out: tuple[Path, ...]
    """What else lies in the folder: not a model's, so it stays here."""
    config: ModelConfig
    architecture: str
    num_parameters: int
    training: Training | None
    """Absent where there is no training.json."""
    recipe: str | None
    """The resolved recipe's text; absent where none was found."""

    @property
    def has_tokenizer(self) -> bool:
        """Whether the tokenizer goes along."""
        return any(path.name == "tokenizer.json" for path in self.files)


def read_series(folders: Sequence[Path]) -> tuple[Revision, ...]:
    """What these folders will be on the Hub, by step; those that say none come last, in the order given.

    Raises:
        UserError: no folder, two of one name, or a name no branch can have.
        CheckpointError: one of them holds no model, or a training.json that says no step.
    """
    if not folders:
        raise UserError("found no folder to publish, expected one or more with config.json and model.safetensors")
    series = sorted(map(_read, folders), key=lambda one: inf if one.training is None else one.training.step)
    seen: dict[str, Path] = {}
    for one in series:
        if one.name == "main" or _BRANCH.fullmatch(one.name) is None:
            raise UserError(
                f"{one.folder}: {one.name!r} cannot be a branch of its own: rename the folder, or write {TRAINING}"
            )
        if one.name in seen:
            raise UserError(f"{seen[one.name]} and {one.folder} are both {one.name}: publish one of them")
        seen[one.name] = one.folder
    return tuple(series)


def _read(folder: Path) -> Revision:
    if not folder.is_dir():
        raise UserError(f"{folder}: found no such folder, expected a model's: check the path")
    config, architecture = from_file(folder / "config.json")
    if architecture not in AUTO:
        raise CheckpointError(
            f"{folder / 'config.json'}: architectures: found {architecture or 'none'!r}, expected one of {', '.join(AUTO)}: "
            "save the model again"
        )
    weights = weight_files(folder)
    names = ("config.json", "model.safetensors.index.json", *TOKENIZER_FILES, TRAINING)
    files = (*weights, *(folder / name for name in names if (folder / name).is_file()))
    training = _training(folder / TRAINING)
    return Revision(
        name=folder.resolve().name if training is None else f"step-{training.step}",
        folder=folder,
        files=files,
        left_out=tuple(sorted(path for path in folder.iterdir() if path not in files)),
        config=config,
        architecture=architecture,
        num_parameters=sum(map(_num_parameters, weights)),
        training=training,
        recipe=_recipe(folder.resolve()),
    )


def _training(path: Path) -> Training | None:
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON ({error}): write or remove it") from None
    if not isinstance(said, dict) or not _is_count(said.get("step")):
        raise CheckpointError(f'{path} says no step, expected an object such as {{"step": 1000}}: write or remove it')
    tokens, stage = said.get("tokens"), said.get("stage")
    if not (tokens is None or _is_count(tokens)) or not (stage is None or isinstance(stage, str)):
        raise CheckpointError(
            f"{path}: found tokens {tokens!r} and stage {stage!r}, expected a whole number and a name: write it again"
        )
    metrics = {
        name: float(value)
        for name, value in said.items()
        if name not in ("step", "tokens") and type(value) in (int, float) and isfinite(value)
    }
    return Training(step=said["step"], tokens=tokens, stage=stage, metrics=metrics)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _num_parameters(path: Path) -> int:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): write it again") from None


def _recipe(folder: Path) -> str | None:
    above = [folder.parent.parent] if folder.parent.name == "published" else []
    for place in (folder, folder.parent, *above):
        if (place / RECIPE).is_file():
            return (place / RECIPE).read_text(encoding="utf-8")
    return None
