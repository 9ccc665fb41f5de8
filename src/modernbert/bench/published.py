"""The paper's figures, from one data file that names its source."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the paper says of one model on one workload."""

    thousand_tokens_per_second: float
    largest_batch: int
    """Documents of the workload's limit that fitted on its card."""
    seconds: float | None
    """For 8,192 documents; of models that pad, only with fixed lengths."""


@cache
def everything() -> dict[str, Any]:
    """The data file as it is, with source, machine, protocol and units."""
    return json.loads(files("modernbert.bench").joinpath("published.json").read_text(encoding="utf-8"))


def published(key: str, workload: str) -> Published | None:
    """The paper's figures for a model such as "bert-base" on a workload such as "fixed-512", where it has them."""
    data = everything()
    row = data["rows"].get(key)
    column = workload.replace("-", "_")
    if row is None or column not in data["columns"]:
        return None
    figures = dict(zip(data["columns"], row, strict=True))
    if figures[column] is None:
        return None
    times = data["seconds_for_8192_documents"]
    seconds = dict(zip(times["columns"], times["rows"][key], strict=True))
    return Published(
        thousand_tokens_per_second=figures[column],
        largest_batch=figures[f"largest_batch_{column.split('_')[1]}"],
        seconds=seconds[column],
    )
