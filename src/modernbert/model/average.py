"""One model out of several of the same shape: their mean, or TIES merging (Yadav et al., arXiv 2306.01708).

Folders in, a folder out, tensor by tensor: the memory of one model and a few copies of its largest tensor in float64,
however many models there are.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from modernbert.core.errors import CheckpointError, ConfigError, UserError
from modernbert.core.files import atomic_folder
from modernbert.model.folder import check_free, copy_tokenizer, weight_files
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of the weights, accumulated in float64."""

    weights: tuple[float, ...] | None = None
    """One a model, divided by their sum; absent: all equal."""

    def __post_init__(self) -> None:
        if self.weights is not None and not (all(w >= 0 and isfinite(w) for w in self.weights) and sum(self.weights)):
            raise ConfigError(f"weights: found {self.weights}, expected numbers from 0 up that are not all 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """Of what each model changed in `base`, the largest changes; of those, the ones that agree with the heavier sign."""

    base: str | Path
    """What all the models were trained from."""
    density: float = 0.2
    """Share of each model's changes that counts, the largest over all tensors together (the paper's k)."""
    scale: float = 1.0
    """How much of the merged change is added to the base (the paper's lambda)."""

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ConfigError(f"density: found {self.density}, expected a share above 0 and up to 1")
        if not isfinite(self.scale):
            raise ConfigError(f"scale: found {self.scale}, expected a finite number, such as the paper's 1")


def average(models: Sequence[str | Path], out: Path, method: Mean | Ties = Mean()) -> None:
    """Write the average of these models, folders or Hub ids, to a new folder, with config and tokenizer of the first.

    Raises:
        UserError: too few models, weights that do not match them, or `out` is taken.
        CheckpointError: two of them differ in config, in a tensor's name, shape or dtype, or the result is not finite.
    """
    check_free(out)
    fewest = 1 if isinstance(method, Ties) else 2
    if len(models) < fewest:
        raise UserError(f"found {len(models)} models to average, expected {fewest} or more")
    if isinstance(method, Mean) and method.weights is not None and len(method.weights) != len(models):
        raise UserError(f"found {len(method.weights)} weights for {len(models)} models, expected one each")
    stored = [_Stored(folder_of(model)) for model in models]
    base = [_Stored(folder_of(method.base))] if isinstance(method, Ties) else []
    for other in (*stored[1:], *base):
        _check_alike(stored[0], other)
    merged = _ties(stored, base[0], method) if isinstance(method, Ties) else _mean(stored, method)
    with atomic_folder(out) as unfinished:
        _write(dict(merged), stored[0].folder, unfinished)


class _Stored:
    """A folder's tensors, read one by one when asked for; a file stays mapped into memory only as long as that takes."""

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.folder = folder
        self.config, self.architecture = from_file(folder / "config.json")
        self.forms: dict[str, str] = {}
        self._paths: dict[str, Path] = {}
        for path in weight_files(folder):
            try:
                with safe_open(path, framework="pt") as file:
                    for name in file.keys():  # noqa: SIM118  (no mapping)
                        part = file.get_slice(name)
                        self.forms[name] = f"{part.get_dtype()} of shape {tuple(part.get_shape())}"
                        self._paths[name] = path
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path} is damaged ({error}): fetch or write it again") from None
        self.names = tuple(sorted(self.forms))

    def read(self, name: str) -> Tensor:
        from safetensors import safe_open

        with safe_open(self._paths[name], framework="pt") as file:
            return file.get_tensor(name)


def _mean(stored: Sequence[_Stored], method: Mean) -> Iterator[tuple[str, Tensor]]:
    weights = method.weights or (1.0,) * len(stored)
    total = sum(weights)
    for name in stored[0].names:
        first = stored[0].read(name)
        summed = torch.zeros(first.shape, dtype=torch.float64)
        for model, weight in zip(stored, weights, strict=True):
            summed.add_(model.read(name).double(), alpha=weight)
        yield name, summed.div_(total).to(first.dtype)


def _ties(stored: Sequence[_Stored], base: _Stored, method: Ties) -> Iterator[tuple[str, Tensor]]:
    least = [_threshold(model, base, method.density) for model in stored]
    for name in base.names:
        start = base.read(name)
        sums = {sign: torch.zeros(start.shape, dtype=torch.float64) for sign in (1, -1)}
        counts = {sign: torch.zeros(start.shape, dtype=torch.int32) for sign in (1, -1)}
        for model, threshold in zip(stored, least, strict=True):
            change = _change(model, base, name)
            change[change.abs() < threshold] = 0
            for sign in (1, -1):
                agrees = change.sign() == sign
                sums[sign] += change * agrees
                counts[sign] += agrees
        elected = (sums[1] + sums[-1]).sign()  # where the two sides weigh the same nobody is elected: nothing changes
        merged = sums[1].mul_(elected > 0).div_(counts[1].clamp_(min=1))
        merged += sums[-1].mul_(elected < 0).div_(counts[-1].clamp_(min=1))
        yield name, start.double().add_(merged, alpha=method.scale).to(start.dtype)


def _change(model: _Stored, base: _Stored, name: str) -> Tensor:
    return model.read(name).float() - base.read(name).float()


def _threshold(model: _Stored, base: _Stored, density: float) -> float:
    """Size of the smallest change that counts, exactly, without all of them in memory.

    The bits of floats from 0 up, read as whole numbers, have the floats' own order. So count the upper 16 bits of all
    changes, find where the wanted one lies, and then count the lower 16 bits of those that lie there, too.
    """
    uppers = sum(_counts(bits >> 16, 1 << 15) for bits in _bits(model, base))
    assert isinstance(uppers, Tensor), "a model has tensors"
    rank = max(1, round(density * int(uppers.sum())))
    upper, rank = _find(uppers, rank)
    lowers = sum(_counts(bits[bits >> 16 == upper] & 0xFFFF, 1 << 16) for bits in _bits(model, base))
    assert isinstance(lowers, Tensor)
    lower, _ = _find(lowers, rank)
    return float(torch.tensor(upper << 16 | lower, dtype=torch.int32).view(torch.float32))


def _bits(model: _Stored, base: _Stored) -> Iterator[Tensor]:
    for name in base.names:
        yield _change(model, base, name).abs().view(torch.int32).flatten()


def _counts(numbers: Tensor, limit: int) -> Tensor:
    return torch.bincount(numbers, minlength=limit)


def _find(counts: Tensor, rank: int) -> tuple[int, int]:
    """Which number is the `rank`-th largest, and its rank among those that share it."""
    above = counts.flip(0).cumsum(0)
    place = int((above < rank).sum())
    return len(counts) - 1 - place, rank - (int(above[place - 1]) if place else 0)


def _write(tensors: dict[str, Tensor], like: Path, folder: Path) -> None:
    from safetensors.torch import save as as_bytes

    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{name}: the average is not finite: one of the models is broken, or scale is too large"
            )
    (folder / "model.safetensors").write_bytes(as_bytes(tensors, metadata={"format": "pt"}))
    shutil.copyfile(like / "config.json", folder / "config.json")
    copy_tokenizer(like, folder)


def _check_alike(first: _Stored, other: _Stored) -> None:
    between = f"{first.folder} and {other.folder}"
    if first.architecture != other.architecture:
        raise CheckpointError(
            f"{between} are {first.architecture} and {other.architecture}: only models of one kind have an average"
        )
    for field in fields(first.config):
        mine, theirs = getattr(first.config, field.name), getattr(other.config, field.name)
        if mine != theirs:
            raise CheckpointError(
                f"{between} differ in {field.name}: found {mine} and {theirs}, expected the same; "
                "average models of one config"
            )
    if strangers := set(first.names) ^ set(other.names):
        raise CheckpointError(f"{between}: only one of them has {min(strangers)}: average models of one kind")
    for name in first.names:
        if first.forms[name] != other.forms[name]:
            raise CheckpointError(
                f"{between}: {name} is {first.forms[name]} and {other.forms[name]}, expected the same: write both alike"
            )
