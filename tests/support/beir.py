"""Small collections to search: as BEIR's files, and in memory."""

import gzip
import json
import lzma
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modernbert.retrieval.evaluation.collection import Collection
from support.sentences import document

_OPENERS = {"": open, ".xz": lzma.open, ".gz": gzip.open}


def write_beir(
    folder: Path,
    *,
    corpus: Sequence[Mapping[str, Any]],
    queries: Sequence[Mapping[str, Any]],
    qrels: str,
    split: str = "test",
    packed: str = "",
) -> Path:
    """A folder in BEIR's layout; `qrels` as lines of "query document grade"."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        with _OPENERS[packed](folder / f"{name}.jsonl{packed}", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(line.split()) for line in qrels.strip().splitlines())]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def small_collection(*, documents: int = 60, queries: int = 12, seed: int = 3) -> Collection:
    """Stories, and a sentence of some of them as queries; every query has one or two right answers."""
    chance = random.Random(seed)
    stories = {f"d{number}": document(chance) for number in range(documents)}
    asked = {f"q{number}": stories[f"d{number}"].partition(".")[0].lower() for number in range(queries)}
    relevant = {f"q{number}": {f"d{number}": 1} | ({f"d{number + queries}": 1} if number % 3 == 0 else {}) for number in range(queries)}  # fmt: skip
    return Collection(name="stories", documents=stories, queries=asked, relevant=relevant)


def write_small(folder: Path, **size: int) -> Path:
    """`small_collection` as files."""
    collection = small_collection(**size)
    return write_beir(
        folder,
        corpus=[{"_id": id_, "title": "", "text": text} for id_, text in collection.documents.items()],
        queries=[{"_id": id_, "text": text} for id_, text in collection.queries.items()],
        qrels="\n".join(f"{q} {d} {grade}" for q, found in collection.relevant.items() for d, grade in found.items()),
    )
