"""Whether an export is still the same model: number by number on many lengths, and by what it is for where it was rounded.

Shapes:  t tokens of a document   M guesses
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modernbert.core.errors import UserError
from modernbert.core.seeds import Seeds
from modernbert.export.source import Source
from modernbert.infer.exported import Exported
from modernbert.infer.light import POOLED
from modernbert.tasks.ranks import spearman

LENGTHS = (1, 2, 5, 63, 64, 65, 66, 127, 128, 129, 130, 191, 192, 193, 300)
LONG = (1023, 1024, 1025)
"""Around the window, around blocks of it, and behind many of them."""

CLOSE = 1e-4
"""Largest difference where nothing was rounded, as a share of the largest number in its row (1 at least)."""

MOST_LOST = 0.5
"""Points of quality."""

_MASKED = 7
"""Every seventh token of a text is guessed."""

_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What rounding cost, in points of 100."""

    measure: str
    source: float
    export: float
    num_cases: int

    @property
    def drop(self) -> float:
        """Points lost; below zero where rounding helped by chance."""
        return self.source - self.export


def worst_difference(source: Source, exported: Exported) -> float:
    """On documents of many lengths: each alone, and all in one padded batch, most of which lies outside every window.

    Infinite where the export gives what is no number, at a token that is none of padding.
    """
    worst = 0.0
    for batch in batches(source):
        for found, truth in zip(exported.rows(batch), source.rows(batch), strict=True):
            worst = max(worst, difference(found, truth))
    return worst


def difference(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest, as a share of the largest number in its row (1 at least)."""
    if found.shape != truth.shape or not np.isfinite(found).all():
        return float("inf")
    scale = np.maximum(1.0, np.abs(truth).max(-1, keepdims=True))
    return float((np.abs(found - truth) / scale).max(initial=0.0))


def batches(source: Source) -> Iterator[list[list[int]]]:
    """Ids without meaning, of every length that may go wrong: documents alone, and several."""
    draw = np.random.default_rng(Seeds(0).for_("export.check"))
    config = source.model.config

    def documents(lengths: Sequence[int]) -> list[list[int]]:
        fitting = [length for length in lengths if length <= source.longest]
        return [draw.integers(0, config.vocab_size, length).tolist() for length in fitting]

    for alone in documents((*LENGTHS, *LONG)):
        yield [alone]
    yield documents(LENGTHS)
    if mixed := documents((1, LONG[-1], 65)):
        yield mixed


def quality(source: Source, exported: Exported, texts: Sequence[str], task: Path | None) -> Quality:
    """Of an export whose numbers were rounded.

    Args:
        texts: of the kind that the model is for; masked words are guessed, or vectors, labels, answers compared.
        task: labelled rows, see `read_task`; for classifiers and embedders.
    """
    if task is not None:
        return _on_task(source, exported, task)
    ids = source.documents(texts, "judge a rounded export by")
    if source.head == "fill-mask":
        return _on_masked(source, exported, ids)
    pairs = [
        (found, truth)
        for batch in ([ids[i] for i in members] for members in _by_length(ids))
        for found, truth in zip(exported.rows(batch), source.rows(batch), strict=True)
    ]
    if source.head in ("embedding", "late", "trunk"):
        cosines = np.concatenate([np.atleast_1d(_cosines(*pair)) for pair in pairs])
        return Quality(measure="cosine", source=100.0, export=100 * float(cosines.mean()), num_cases=len(cosines))
    if source.width == 1:
        found, truth = (np.array([float(pair[i][0]) for pair in pairs]) for i in range(2))
        return Quality(
            measure="rank correlation", source=100.0, export=100 * spearman(found, truth), num_cases=len(pairs)
        )
    same = np.concatenate([np.atleast_1d(found.argmax(-1) == truth.argmax(-1)) for found, truth in pairs])
    return Quality(measure="equal choices", source=100.0, export=100 * float(same.mean()), num_cases=len(same))


def read_task(path: Path) -> list[dict]:
    """Rows such as {"text": ..., "label": ...} of a classifier, or {"text": ..., "pair": ..., "score": ...} of an embedder.

    Raises:
        UserError: a row is something else.
    """
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): check the path") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}): expected one object a line") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise UserError(f"{path}, line {number}: found no string under 'text', expected one: correct the row")
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: found no row, expected labelled ones")
    return rows


def _on_masked(source: Source, exported: Exported, ids: list[list[int]]) -> Quality:
    tokenizer, right, guessed = source.tokenizer, [0, 0], 0
    for members in _by_length(ids):
        batch = [ids[i] for i in members]
        hidden = [list(document) for document in batch]
        at = [
            [
                place
                for place in range(1 + row % _MASKED, len(document) - 1, _MASKED)
                if document[place] not in tokenizer.special_ids
            ]
            for row, document in enumerate(batch)
        ]
        for document, places in zip(hidden, at, strict=True):
            for place in places:
                document[place] = tokenizer.mask_id
        both = zip(batch, at, source.rows(hidden), exported.rows(hidden), strict=True)
        for document, places, *logits in both:
            wanted = np.array([document[place] for place in places], dtype=np.int64)
            guessed += len(places)
            for who in range(2):
                right[who] += int((logits[who][places].argmax(-1) == wanted).sum()) if places else 0
    if not guessed:
        raise UserError("found texts too short to mask a word in, expected longer ones to judge a rounded export by")
    shares = [100 * each / guessed for each in right]
    return Quality(measure="masked words guessed", source=shares[0], export=shares[1], num_cases=guessed)


def _on_task(source: Source, exported: Exported, path: Path) -> Quality:
    rows = read_task(path)
    if source.head == "text-classification" and source.width > 1:
        labels = source.model.config.labels
        if strange := [row.get("label") for row in rows if row.get("label") not in labels]:
            raise UserError(
                f"{path}: found the label {strange[0]!r}, expected one of {', '.join(labels)}: correct the rows"
            )
        wanted = np.array([labels.index(row["label"]) for row in rows])
        pairs = [row["pair"] for row in rows] if all("pair" in row for row in rows) else None
        ids = source.tokenizer.encode([row["text"] for row in rows], pairs, longest=source.longest).ids
        shares = [100 * float((np.stack(each).argmax(-1) == wanted).mean()) for each in _both(source, exported, ids)]
        return Quality(measure="accuracy", source=shares[0], export=shares[1], num_cases=len(rows))
    if source.head == "embedding" and all("pair" in row and "score" in row for row in rows):
        texts = [row["text"] for row in rows] + [row["pair"] for row in rows]
        ids = source.tokenizer.encode(texts, longest=source.longest).ids
        scores = np.array([float(row["score"]) for row in rows])
        shares = []
        for vectors in _both(source, exported, ids):
            one, other = np.split(np.stack(vectors), 2)
            shares.append(100 * spearman(_cosines(one, other), scores))
        return Quality(measure="rank correlation", source=shares[0], export=shares[1], num_cases=len(rows))
    raise UserError(
        f"{path}: found rows that say nothing of the head {source.head}, expected a text and a label for a classifier, a text, "
        "a pair and a score for an embedder: leave --task out, and agreement on texts is looked at"
    )


def _both(source: Source, exported: Exported, ids: list[list[int]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    assert source.head in POOLED
    truth: dict[int, np.ndarray] = {}
    found: dict[int, np.ndarray] = {}
    for members in _by_length(ids):
        batch = [ids[i] for i in members]
        truth |= dict(zip(members, source.rows(batch), strict=True))
        found |= dict(zip(members, exported.rows(batch), strict=True))
    return [truth[i] for i in range(len(ids))], [found[i] for i in range(len(ids))]


def _by_length(ids: list[list[int]]) -> Iterator[list[int]]:
    """Who shares a batch, so that little is padded."""
    ordered = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(-1) / np.maximum(lengths, 1e-12)
