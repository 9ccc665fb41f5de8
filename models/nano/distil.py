"""Rows for a head from open text: a teacher that was trained on data which may not be passed on labels text which may.

    python models/nano/distil.py sentiment TEACHER CORPUS... --rows 20000 --out rows/train.jsonl
    python models/nano/distil.py entities TEACHER CORPUS... --rows 20000 --out rows/train.jsonl

TEACHER is a model of `modernbert finetune` (seq_cls or token_cls); CORPUS are files of documents. Only sentences that the
teacher is sure of are kept; of sentiment as many of each label. The head learns from the rows, and never sees the teacher's data.
"""

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.data.sources import read_documents
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.tag import Tagger

SENTENCE = re.compile(r"[^.!?\n]+[.!?]+[\"”’']?")
NAMES = {"0": "negative", "1": "positive"}
"""Of labels that the teacher's data only number."""

LENGTH = (30, 300)
"""Characters of a sentence that is taken."""

SURE = {"sentiment": 0.97, "entities": 0.9}
"""Probability: of the label; of the least certain word."""

LOOKED_AT = 12
"""Sentences that are labelled for each row that is wanted."""


def main() -> None:
    """Draw, label, keep, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("kind", choices=SURE)
    words.add_argument("teacher", type=Path)
    words.add_argument("corpus", nargs="+")
    words.add_argument("--rows", type=int, default=20_000)
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    sentences = drawn(given.corpus, given.rows * LOOKED_AT, given.seed)
    rows = list(
        sentiments(given.teacher, sentences) if given.kind == "sentiment" else entities(given.teacher, sentences)
    )
    kept = (balanced if given.kind == "sentiment" else with_entities)(rows, given.rows)
    random.Random(given.seed).shuffle(kept)
    with write_atomically(given.out, "w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
    say(f"{given.out}: {len(kept):,} rows of {len(rows):,} that the teacher was sure of, {len(sentences):,} looked at")


def drawn(corpus: Sequence[str], count: int, seed: int) -> list[str]:
    """Different sentences, as many from each file."""
    found: list[str] = []
    for path in corpus:
        own = {
            sentence
            for document in read_documents([path])
            for sentence in (match.group().strip() for match in SENTENCE.finditer(document.text))
            if LENGTH[0] <= len(sentence) <= LENGTH[1]
        }
        ordered = sorted(own)
        random.Random(seed).shuffle(ordered)
        found += ordered[: count // len(corpus)]
    return found


def sentiments(teacher: Path, sentences: list[str]) -> Iterator[dict[str, object]]:
    """Sentences with a label that is beyond doubt."""
    classifier = TextClassifier.from_pretrained(teacher)
    for text, found in zip(sentences, classifier.stream(sentences, show_progress=True), strict=True):
        if found.score >= SURE["sentiment"]:
            yield {"text": text, "label": NAMES.get(found.label, found.label), "score": found.score}


def entities(teacher: Path, sentences: list[str]) -> Iterator[dict[str, object]]:
    """Sentences with every word's tag beyond doubt."""
    tagger = Tagger.from_pretrained(teacher)
    for found in tagger.stream(sentences, show_progress=True):
        if min(found.scores, default=0) >= SURE["entities"]:
            yield {"tokens": list(found.words), "tags": list(found.tags)}


def balanced(rows: Sequence[dict[str, object]], count: int) -> list[dict[str, object]]:
    """As many of each label, the surest first."""
    counts = Counter(row["label"] for row in rows)
    each = min(count // len(counts), *counts.values())
    ordered = sorted(rows, key=lambda row: -float(row["score"]))  # type: ignore[arg-type]
    return [
        {"text": row["text"], "label": row["label"]}
        for label in sorted(map(str, counts))
        for row in [row for row in ordered if row["label"] == label][:each]
    ]


def with_entities(rows: Sequence[dict[str, object]], count: int) -> list[dict[str, object]]:
    """Four sentences with an entity for each without."""
    some = [row for row in rows if set(row["tags"]) != {"O"}]  # type: ignore[arg-type]
    none = [row for row in rows if set(row["tags"]) == {"O"}]  # type: ignore[arg-type]
    return [*some[: count * 4 // 5], *none[: min(len(some), count) // 5]]


if __name__ == "__main__":
    main()
