"""Rows to learn from: pairs, triplets, lists of documents with a teacher's scores, pairs with a label.

query, positive [, negative | negative_1, negative_2 ... | negatives: list]
query, documents: list, scores: list
query, document, label
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modernbert.core.errors import UserError, require
from modernbert.core.log import say
from modernbert.data.records import Record, read_records
from modernbert.retrieval.training.config import Loss, TrainRetrieval

_USUAL = {
    "query": ("query", "anchor", "question"),
    "positive": ("positive", "pos", "answer"),
    "negatives": ("negatives", "neg"),
    "documents": ("documents", "passages"),
    "scores": ("scores",),
    "document": ("document", "passage", "text", "positive"),
    "label": ("label", "score"),
}
_NUMBERED = re.compile(r"negative(_\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query and documents; without scores the first one is right and the others are not."""

    query: str
    documents: tuple[str, ...]
    scores: tuple[float, ...] | None


def read_examples(settings: TrainRetrieval) -> list[Example]:
    """The rows that a run's settings name; a row that is there twice counts once.

    Raises:
        UserError: there is none, or one that cannot be meant, with its place.
    """
    needs_scores = settings.trains_by == "distil"
    rows = [to_example(row, settings.columns, needs_scores=needs_scores) for row in _rows(settings)]
    found = list(dict.fromkeys(rows))
    if not found:
        raise UserError(f"{settings.data}: there is no row in it, expected one or more: check the file")
    if len(found) < len(rows):
        say(f"{settings.data}: {len(rows) - len(found):,} of {len(rows):,} rows are there twice, and count once")
    most = settings.max_train_samples
    if most is not None and most < len(found):
        kept = np.random.default_rng(settings.seed).choice(len(found), most, replace=False)
        found = [found[i] for i in sorted(kept)]
    return found


def to_example(row: Record, columns: Mapping[str, str], *, needs_scores: bool = False) -> Example:
    """One row.

    Raises:
        UserError: what is missing or of another kind.
    """
    query = _text(_need(row, "query", columns), row, "query")
    if (listed := _get(row, "documents", columns)) is not None:
        documents = _texts(listed, row, "documents")
        scores = _numbers(_need(row, "scores", columns), row, "scores")
        if len(scores) != len(documents) or len(scores) < 2:
            raise UserError(
                f"{row.where}: found {len(documents)} documents and {len(scores)} scores, expected as many of both, two or more"
            )
        return Example(query=query, documents=documents, scores=scores)
    if needs_scores:
        raise UserError(f"{row.where}: found {', '.join(row.values)}, expected documents and scores to distil from")
    label = _get(row, "label", columns)
    if label is not None and _get(row, "negatives", columns) is None:
        (score,) = _numbers([label], row, "label")
        if not 0 <= score <= 1:
            raise UserError(f"{row.where}: the label is {score:g}, expected 0 to 1")
        return Example(
            query=query, documents=(_text(_need(row, "document", columns), row, "document"),), scores=(score,)
        )
    positive = _text(_need(row, "positive", columns), row, "positive")
    listed = _get(row, "negatives", columns)
    negatives = (
        _texts(listed, row, "negatives")
        if listed is not None
        else tuple(_text(value, row, name) for name, value in row.values.items() if _NUMBERED.fullmatch(name) and value is not None)
    )  # fmt: skip
    return Example(query=query, documents=(positive, *negatives), scores=None)


def to_columns(examples: Sequence[Example], loss: Loss, num_negatives: int | None) -> dict[str, list[Any]]:
    """What sentence-transformers' losses read: columns in their order, every row with as many documents.

    Raises:
        UserError: a row has too few documents, or none fits the loss.
    """
    if loss == "labels":
        pairs = [
            (one.query, document, score)
            for one in examples
            for document, score in zip(
                one.documents, one.scores or (1.0, *[0.0] * (len(one.documents) - 1)), strict=True
            )
        ]
        queries, documents, labels = (list(column) for column in zip(*pairs, strict=True))
        if len(set(labels)) < 2:
            raise UserError(
                f"all {len(labels):,} pairs have the label {labels[0]:g}, expected two kinds: give negatives, too"
            )
        return {"query": queries, "document": documents, "label": labels}
    if loss == "contrastive" and any(one.scores is not None for one in examples):
        raise UserError(
            "found rows with scores or labels, expected positives and negatives: train with loss=distil, or rerank"
        )
    fewest = min(len(one.documents) for one in examples) - 1
    chosen = fewest if num_negatives is None else num_negatives
    if chosen > fewest:
        raise UserError(f"num_negatives is {chosen}, found a row with {fewest}: lower it, or leave such rows out")
    if most := sum(len(one.documents) - 1 > chosen for one in examples):
        say(
            f"{most:,} of {len(examples):,} rows have more than {chosen} documents beside the first: the rest is not used"
        )
    names = ["positive", *(f"negative_{number}" for number in range(1, chosen + 1))]
    found: dict[str, list[Any]] = {"query": [one.query for one in examples]}
    found |= {name: [one.documents[i] for one in examples] for i, name in enumerate(names)}
    if loss == "distil":
        found["label"] = [list(one.scores or ())[: chosen + 1] for one in examples]
    return found


def _rows(settings: TrainRetrieval) -> Iterator[Record]:
    if Path(settings.data).exists() or "*" in settings.data or "://" in settings.data:
        yield from read_records(settings.data)
        return
    datasets: Any = require("datasets", extra="retrieval")
    try:
        rows = datasets.load_dataset(settings.data, settings.subset, split="train")
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(
            f"{settings.data!r} is no file or folder here, and the Hub gave no such set ({reason}): check the path or the id"
        ) from error
    for number, row in enumerate(rows, start=1):
        yield Record(row, f"{settings.data}, row {number}")


def _get(row: Record, role: str, columns: Mapping[str, str]) -> object:
    names = (columns[role],) if role in columns else _USUAL[role]
    return next((row.values[name] for name in names if row.values.get(name) is not None), None)


def _need(row: Record, role: str, columns: Mapping[str, str]) -> object:
    if (found := _get(row, role, columns)) is None:
        raise UserError(
            f"{row.where}: found {', '.join(row.values)}, expected a column for {role}: name it, such as columns.{role}=COLUMN"
        )
    return found


def _text(value: object, row: Record, role: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{row.where}: {role} is {str(value)[:40]!r}, expected a text")
    return value


def _texts(value: object, row: Record, role: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise UserError(f"{row.where}: {role} is {str(value)[:40]!r}, expected a list of texts")
    return tuple(_text(one, row, role) for one in value)


def _numbers(value: object, row: Record, role: str) -> tuple[float, ...]:
    try:
        found = tuple(float(one) for one in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        found = (math.nan,)
    if not all(math.isfinite(one) for one in found):
        raise UserError(f"{row.where}: {role} is {str(value)[:40]!r}, expected numbers")
    return found
