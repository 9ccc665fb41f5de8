"""Rows for training, for choosing the best checkpoint, and for the final scores.

A set without validation rows gives up a tenth of its training rows. Which ones is decided by a hash of the row, so that equal
rows never end up on both sides, and the same rows are taken every time.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modernbert.core.errors import UserError, require
from modernbert.core.log import say
from modernbert.data.records import Record, read_records
from modernbert.tasks.config import Finetune

_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_SECRET = -1
"""Label of all test rows of a set that keeps theirs secret, class names or not (STS-B of GLUE)."""
_HELD_OUT = 10
"""One row in so many is taken for validation where a set has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Rows by use."""

    train: list[Record]
    validation: list[Record]
    test: list[Record]
    """The validation rows, where a set has no others."""
    has_test: bool


def read_splits(settings: Finetune) -> Splits:
    """The rows that a run's settings name.

    Raises:
        UserError: something is not there, cannot be read, or has no row.
    """
    found = _named(settings)
    for name, given in (("validation", settings.validation), ("test", settings.test)):
        if given is not None:
            found[name] = list(read_records(given))
    for name, rows in found.items():
        if not rows:
            raise UserError(f"{settings.dataset}: found no {name} row, expected one or more: check the file")
    if "train" not in found:
        raise UserError(
            f"{settings.dataset}: found {', '.join(found) or 'no split'}, expected a file train.jsonl, .csv, .tsv or "
            ".parquet in it: name the file of the training rows with --dataset"
        )
    if "validation" not in found:
        found["train"], found["validation"] = _hold_out(found["train"], settings.dataset)
        say(
            f"{settings.dataset} has no validation rows: {len(found['validation']):,} of its "
            f"{len(found['train']) + len(found['validation']):,} training rows choose the best checkpoint instead"
        )
    train = _sample(found["train"], settings.max_train_samples, settings.seed)
    validation = _sample(found["validation"], settings.max_eval_samples, settings.seed)
    test = _sample(found["test"], settings.max_eval_samples, settings.seed) if "test" in found else validation
    return Splits(train=train, validation=validation, test=test, has_test="test" in found)


def _named(settings: Finetune) -> dict[str, list[Record]]:
    path = Path(settings.dataset)
    if (path / "dataset_dict.json").is_file():
        return {name: list(_of_hub_set(split, name)) for name, split in _load_from_disk(path).items()}
    if path.is_dir():
        return {name: list(read_records(str(file))) for name, file in _files(path).items()}
    if path.exists() or "*" in settings.dataset or "://" in settings.dataset:
        return {"train": list(read_records(settings.dataset))}
    if _HUB_ID.fullmatch(settings.dataset) is None or path.suffix in _KINDS or settings.dataset.count("/") > 1:
        raise UserError(f"{settings.dataset}: there is no such file or folder: check the path")
    return _from_hub(settings.dataset, settings.subset)


def _files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem, _, rest = path.name.partition(".")
        if not path.is_file() or not any(f".{rest}".startswith(kind) for kind in _KINDS):
            continue
        for name, stems in _NAMES.items():
            if stem in stems:
                if name in found:
                    raise UserError(
                        f"{folder}: found {found[name].name} and {path.name}, expected one file of {name} rows: move one away"
                    )
                found[name] = path
    return found


def _load_from_disk(folder: Path) -> dict:
    return dict(require("datasets", extra="finetune").load_from_disk(str(folder)))


def _from_hub(name: str, subset: str | None) -> dict[str, list[Record]]:
    datasets = require("datasets", extra="finetune")
    try:
        whole = datasets.load_dataset(name, subset)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{name!r} is no file or folder here, and the Hub gave no such set ({reason}): check the path or the id, and "
            "say which --subset where a set has several"
        ) from error
    found = {}
    for split in whole:
        for role, stems in _NAMES.items():
            if split in stems or (role == "validation" and split == "validation_matched"):
                rows = list(_of_hub_set(whole[split], f"{name}, {split}"))
                if role != "test" or any(row.values.get("label") != _SECRET for row in rows):
                    found[role] = rows
    return found


def _of_hub_set(split, name: str) -> Iterator[Record]:  # noqa: ANN001  (datasets is optional)
    """The rows, labels by name. Sets whose test labels are kept secret (-1) give no test rows."""
    names = {column: _label_names(feature) for column, feature in split.features.items()}
    for number, row in enumerate(split, start=1):
        for column, labels in names.items():
            value = row[column]
            if labels and isinstance(value, int):
                if value < 0:
                    return
                row[column] = labels[value]
            elif labels and isinstance(value, list):
                row[column] = [labels[i] for i in value]
        yield Record(row, f"{name}, row {number}")


def _label_names(feature) -> list[str] | None:  # noqa: ANN001
    return getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)


def _hold_out(rows: list[Record], source: str) -> tuple[list[Record], list[Record]]:
    if len(rows) < 2:
        raise UserError(
            f"{source}: found {len(rows)} training row, expected two or more, since one is held out to choose the best "
            "checkpoint: name other rows with --validation"
        )
    order = sorted(range(len(rows)), key=lambda i: _hash(rows[i]))
    held_out = set(order[: max(1, len(rows) // _HELD_OUT)])
    last = _hash(rows[order[len(held_out) - 1]])
    held_out |= {i for i in order[len(held_out) :] if _hash(rows[i]) == last}  # equal rows stay together
    left = [row for i, row in enumerate(rows) if i not in held_out]
    if not left:
        raise UserError(f"{source}: all of its {len(rows)} rows are equal, expected different ones")
    return left, [rows[i] for i in sorted(held_out)]


def _hash(row: Record) -> str:
    return hashlib.sha256(json.dumps(row.values, sort_keys=True, default=str).encode()).hexdigest()


def _sample(rows: list[Record], most: int | None, seed: int) -> list[Record]:
    if most is None or most >= len(rows):
        return rows
    kept = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return [rows[i] for i in sorted(kept)]
