"""Rows to train retrieval on: questions of a story and the story, of a small grammar."""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from support.sentences import document


def small_pairs(num: int = 24, *, seed: int = 1) -> list[dict[str, Any]]:
    """Each story with its own first sentence."""
    chance = random.Random(seed)
    stories = [f"{number}: {document(chance)}" for number in range(num)]
    return [{"query": f"who is in {number}?", "positive": story} for number, story in enumerate(stories)]


def with_negatives(rows: list[dict[str, Any]], num: int = 2) -> list[dict[str, Any]]:
    """The next stories are wrong."""
    return [row | {f"negative_{k}": rows[(i + k) % len(rows)]["positive"] for k in range(1, num + 1)} for i, row in enumerate(rows)]  # fmt: skip


def with_scores(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A teacher that is sure of the first of three."""
    return [
        {
            "query": row["query"],
            "documents": [rows[(i + k) % len(rows)]["positive"] for k in range(3)],
            "scores": [2.0, 0.5, -1.0],
        }
        for i, row in enumerate(rows)
    ]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
