"""Checkpoints of a run: whole or not there, written in the background, read by any number of processes.

A checkpoint is a folder: weights and optimizer as torch's distributed checkpoint (DCP) writes them, `state.json` with all
that is not a tensor, and the model's `config.json`. The folder gets its name when everything in it is on the disk.
"""

import json
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.optim.optimizer import Optimizer
from torch.utils._pytree import tree_map_only

from modernbert.core.errors import CheckpointError
from modernbert.core.files import atomic_folder
from modernbert.model.config import ModelConfig
from modernbert.model.hf_config import from_file, to_mapping
from modernbert.train.config import Saving
from modernbert.train.guard import WatchState
from modernbert.train.world import World, as_lost

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come: everything of its state that is not a tensor, as JSON."""

    step: int = 0
    """Optimizer steps made or skipped."""
    tokens: int = 0
    """Read since the run began."""
    stage: str
    stage_tokens: int = 0
    """Read in this stage."""
    loader: dict[str, int] = field(default_factory=dict)
    watch: WatchState = field(default_factory=lambda: WatchState(norms=[], in_a_row=0, num_skipped=0))
    seconds: float = 0.0
    """Spent in training, interruptions left out."""


class Checkpoints:
    """The checkpoints of one run; every process makes one, in the same place of the program."""

    def __init__(self, folder: Path, saving: Saving, world: World) -> None:
        # torch says so at each save of a single process, which is how most people run it.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        self.folder = folder
        self._saving, self._world = saving, world
        # A group of its own: the writer's messages must not mix with those of training.
        self._group = cast(dist.ProcessGroup, dist.new_group(backend="gloo")) if world.size > 1 else None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def save(
        self, model: nn.Module, optimizer: Optimizer, config: ModelConfig, progress: Progress, *, stays: bool
    ) -> None:
        """Copy the state and write it, in the background if the settings say so; `stays` keeps it for ever.

        Raises:
            CheckpointError: this or the one before could not be written; the older ones are untouched.
        """
        self.wait()
        tensors = tree_map_only(Tensor, _copy, _tensors(model, optimizer))
        self._writing = self._writer.submit(self._write, tensors, config, progress, stays)
        if not self._saving.background:
            self.wait()

    def wait(self) -> None:
        """Until the checkpoint that is being written is on the disk.

        Raises:
            CheckpointError: it could not be written.
            LostProcessError: another process is gone, so it could not be finished.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except (OSError, RuntimeError, CheckpointException) as error:
            if lost := as_lost(error):
                raise lost from error
            newest = self.newest()
            left = f"the last good one is {newest}" if newest else "there is none yet"
            raise CheckpointError(
                f"a checkpoint could not be written to {self.folder} ({_first_cause(error)}); {left}: make room, then start "
                "the same command again"
            ) from error

    def close(self) -> None:
        """Wait, and stop the writer."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()

    def newest(self) -> Path | None:
        """The checkpoint that came furthest."""
        found = all_in(self.folder)
        return found[-1] if found else None

    def _write(self, tensors: dict[str, Any], config: ModelConfig, progress: Progress, stays: bool) -> None:
        target = self.folder / f"step-{progress.step:08d}"
        with atomic_folder(target) if self._world.is_first else nullcontext(target) as unfinished:
            shared = [str(unfinished)]
            if self._group is not None:
                dist.broadcast_object_list(shared, src=0, group=self._group)
            save(tensors, checkpoint_id=shared[0], process_group=self._group)
            if self._world.is_first:
                _write_state(unfinished, config, progress, stays)
        if self._world.is_first:
            self._prune()

    def _prune(self) -> None:
        if self._saving.keep == "all":
            return
        passing = [path for path in all_in(self.folder) if not _read_json(path / "state.json")["stays"]]
        for path in passing[: -self._saving.keep]:
            shutil.rmtree(path)


def all_in(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / "state.json").exists())


def is_checkpoint(path: Path) -> bool:
    """Whether this folder is a checkpoint of a run, rather than a model in Hugging Face's layout."""
    return (path / "state.json").exists() and (path / ".metadata").exists()


def read_progress(path: Path) -> Progress:
    """How far the checkpoint had come.

    Raises:
        CheckpointError: it is damaged, or of a version that this one does not know.
    """
    state = _read_json(path / "state.json")
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: found format {state.get('format')!r}, expected {FORMAT}: use the version that wrote it"
        )
    for name, size in state["sizes"].items():
        found = (path / name).stat().st_size if (path / name).exists() else "nothing"
        if found != size:
            raise CheckpointError(
                f"{path / name} is damaged: found {found} of {size} bytes; remove {path.name} to go on from the one before it"
            )
    return Progress(**state["progress"])


def read_config(path: Path) -> ModelConfig:
    """The shape of the model in a checkpoint."""
    return from_file(path / "config.json")[0]


def load_weights(path: Path, model: nn.Module) -> None:
    """Read a checkpoint's weights into a model; written by any number of processes, read by any number.

    Raises:
        CheckpointError: it is damaged, or of another model.
    """
    tensors = {"model": get_model_state_dict(model)}
    _read(path, tensors)
    set_model_state_dict(model, tensors["model"])


def load_history(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    """Read what the optimizer of this model remembers: all of a checkpoint that `load_weights` does not read.

    Raises:
        CheckpointError: it is damaged, or of another model or optimizer.
    """
    tensors = {"optimizer": get_optimizer_state_dict(model, optimizer)}
    _read(path, tensors)
    set_optimizer_state_dict(model, optimizer, tensors["optimizer"])


def _read(path: Path, tensors: dict[str, Any]) -> None:
    try:
        load(tensors, checkpoint_id=path)
    except (CheckpointException, OSError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(
            f"{path} does not fit this model and optimizer, or is damaged ({_first_cause(error)}): is it the right one?"
        ) from error


def _tensors(model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    weights, history = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": history}


def _copy(tensor: Tensor) -> Tensor:
    """Off the device, and out of the way of the next step."""
    return tensor.detach().clone() if tensor.device.type == "cpu" else tensor.detach().cpu()


def _write_state(folder: Path, config: ModelConfig, progress: Progress, stays: bool) -> None:
    described = to_mapping(config, architecture="ModernBertForMaskedLM", dtype="float32")
    (folder / "config.json").write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    state: Mapping[str, object] = {"format": FORMAT, "stays": stays, "progress": asdict(progress), "sizes": sizes}
    (folder / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}): remove {path.parent.name} to go on without it"
        ) from None


def _first_cause(error: BaseException) -> str:
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    below: BaseException | None = error
    while below is not None and not isinstance(below, OSError):  # torch.save hides a full disk behind its own complaint
        below = below.__cause__ or below.__context__
    error = below or error
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
