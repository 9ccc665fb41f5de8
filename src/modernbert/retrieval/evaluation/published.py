"""What the paper's models reach on a collection, from one data file that names its source."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def everything() -> dict[str, Any]:
    """The data file as it is, with source, protocol and units."""
    return json.loads(files("modernbert.retrieval.evaluation").joinpath("published.json").read_text(encoding="utf-8"))


def published(collection: str, kind: str) -> dict[str, float]:
    """nDCG@10, from 0 to 1, by model, of "dense" or "late" rankers on a collection by any of its names; none is no entry."""
    data = everything()
    name = collection.lower()
    name = next((ours for ours, others in data["also"].items() if name in others), name)
    return {
        model: row[table["columns"].index(name)] / 100
        for table in data["tables"]
        if table["kind"] == kind and name in table["columns"]
        for model, row in table["rows"].items()
    }
