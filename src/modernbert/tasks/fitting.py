"""Models of exactly the kind that a task needs: a head drawn anew would answer, and mean nothing."""

from pathlib import Path
from typing import TypeVar, cast

from torch import nn

from modernbert.core.errors import CheckpointError
from modernbert.model.heads import ARCHITECTURES
from modernbert.model.hf_config import from_file
from modernbert.model.store import Dtype, load

Kind = TypeVar("Kind", bound=nn.Module)


def load_as(folder: Path, kind: type[Kind], *, dtype: Dtype, device: str) -> Kind:
    """A model of that kind from its folder.

    Raises:
        CheckpointError: the folder holds another kind.
    """
    _, architecture = from_file(folder / "config.json")
    wanted = next(name for name, each in ARCHITECTURES.items() if each is kind)
    if architecture != wanted:
        raise CheckpointError(
            f"{folder}: found {architecture or 'no architecture'}, expected {wanted}: name a model that was fine-tuned for "
            "this, or make one with modernbert finetune"
        )
    return cast("Kind", load(folder, cast("type[nn.Module]", kind), dtype=dtype, device=device))
