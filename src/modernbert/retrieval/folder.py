"""What a sentence-transformers folder says, of old and new releases, and how one is written.

A model there is a row of steps: `modules.json` lists them, each has a folder with its settings, and the first is the
transformer itself, in the folder's root or, in old releases, in `0_Transformer`. Not a place for what the steps do.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.core.files import atomic_folder, write_json
from modernbert.model.config import ModelConfig
from modernbert.model.folder import MODULES, check_free
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # who only reads a folder needs no torch
    from torch import Tensor

    from modernbert.model.heads import Model

Settings = Mapping[str, object]

_WHOLE = "config_sentence_transformers.json"
_TRANSFORMER = "sentence_bert_config.json"

CLASSES = {
    "Transformer": "sentence_transformers.models.Transformer",
    "Pooling": "sentence_transformers.models.Pooling",
    "Dense": "sentence_transformers.models.Dense",
    "Normalize": "sentence_transformers.models.Normalize",
    "MultiVectorMask": "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask",
    "HierarchicalTokenPooling": (
        "sentence_transformers.multi_vector_encoder.modules.token_pooling.HierarchicalTokenPooling"
    ),
    "SpladePooling": "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
}
"""What we write for each kind of step: names that every release knows which knows the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One module of a model."""

    kind: str
    """The last word of its class, such as "Pooling"."""
    settings: Settings = field(default_factory=dict)
    folder: Path | None = None
    """Where its files are; absent before it is written."""
    tensors: "Mapping[str, Tensor] | None" = None
    """Its weights, to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A folder's own words. A folder of plain transformers has no steps and no settings."""

    folder: Path
    steps: tuple[Step, ...]
    settings: Settings
    transformer: Settings
    """Settings of the first step, such as `max_seq_length`."""

    @property
    def model_folder(self) -> Path:
        """Where config.json and the weights of the transformer are."""
        return self.steps[0].folder or self.folder if self.steps else self.folder

    @property
    def max_length(self) -> int | None:
        """Tokens of the longest text, special ones included, where the folder says so."""
        return whole_number(self.transformer, "max_seq_length", self.folder)

    def expect(self, kinds: Sequence[str], what: str) -> None:
        """Refuse steps that would be left out.

        Raises:
            UnsupportedError: a step is of another kind.
        """
        for step in self.steps[1:]:
            if step.kind not in kinds:
                raise UnsupportedError(
                    f"{self.folder}: found a module {step.kind}, expected {' or '.join(kinds) or 'none'} for {what}: open "
                    "this model with sentence-transformers and modernbert.accelerate"
                )


def describe(folder: Path) -> Described:
    """Read everything but weights.

    Raises:
        CheckpointError: a file is not what it should be.
    """
    listed = read_json(folder / MODULES, list) if (folder / MODULES).is_file() else []
    steps = []
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise CheckpointError(f"{folder / MODULES} does not list modules with a type: fetch the folder again")
        own = folder / str(entry.get("path") or "")
        steps.append(Step(kind=entry["type"].rpartition(".")[2], folder=own, settings=_optional(own / "config.json")))
    if steps and steps[0].kind not in ("Transformer", "MLMTransformer"):
        raise UnsupportedError(
            f"{folder}: found the module {steps[0].kind} first, expected a Transformer: choose another"
        )
    root = steps[0].folder or folder if steps else folder
    transformer = _optional(root / _TRANSFORMER)
    if transformer.get("do_lower_case"):
        raise UnsupportedError(f"{root / _TRANSFORMER}: do_lower_case is not built: put Lowercase into tokenizer.json")
    return Described(folder=folder, steps=tuple(steps), settings=_optional(folder / _WHOLE), transformer=transformer)


def write(
    folder: str | Path,
    model: "Model",
    tokenizer: Tokenizer,
    *,
    steps: Sequence[Step],
    settings: Settings,
    transformer: Settings,
) -> None:
    """Write a folder that sentence-transformers opens, whole or not at all.

    Args:
        folder: new or empty.
        steps: those after the transformer.
        settings: of the whole model; absent values are left out.
        transformer: of the first step, the same.

    Raises:
        UserError: the folder holds something.
    """
    from safetensors.torch import save as as_bytes

    from modernbert.model.store import save

    folder = Path(folder)
    check_free(folder)
    with atomic_folder(folder) as inside:
        save(model, inside)
        tokenizer.save(inside)
        listed = [{"idx": 0, "name": "0", "path": "", "type": CLASSES["Transformer"]}]
        for number, step in enumerate(steps, start=1):
            name = f"{number}_{step.kind}"
            listed.append({"idx": number, "name": str(number), "path": name, "type": CLASSES[step.kind]})
            (inside / name).mkdir()
            write_json(inside / name / "config.json", step.settings)
            if step.tensors is not None:
                tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in step.tensors.items()}
                (inside / name / "model.safetensors").write_bytes(as_bytes(tensors))
        write_json(inside / MODULES, listed)
        write_json(inside / _WHOLE, {key: value for key, value in settings.items() if value is not None})
        write_json(inside / _TRANSFORMER, {key: value for key, value in transformer.items() if value is not None})


def read_json(path: Path, kind: type[dict] | type[list]) -> dict | list:  # type: ignore[type-arg]
    """The content of a JSON file.

    Raises:
        CheckpointError: it is no JSON, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON ({error}): fetch or write the folder again") from None
    if not isinstance(found, kind):
        raise CheckpointError(
            f"{path} holds {type(found).__name__}, expected {'a mapping' if kind is dict else 'a list'}: fetch it again"
        )
    return found


def whole_number(settings: Settings, name: str, where: Path) -> int | None:
    """A setting that is a number of tokens or dimensions; absent where it is not said.

    Raises:
        CheckpointError: it is something else.
    """
    found = settings.get(name)
    if found is not None and (not isinstance(found, int) or isinstance(found, bool) or found < 1):
        raise CheckpointError(f"{where}: {name}: found {found!r}, expected a whole number of 1 or more: correct it")
    return found


def longest_for(config: ModelConfig, tokenizer: Tokenizer, said: int | None) -> int:
    """Tokens a text may have: what the folder says, else its tokenizer, and never more than the model was trained for."""
    return min(config.max_position_embeddings, said or tokenizer.longest or config.max_position_embeddings)


def _optional(path: Path) -> Settings:
    found = read_json(path, dict) if path.is_file() else {}
    assert isinstance(found, dict)
    return found
