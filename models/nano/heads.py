"""The packaged heads on test sets that neither they nor their rows came from.

    python models/nano/heads.py DATA --out results/heads.json

DATA is a folder of task data as JSON lines, TASK/test.jsonl.xz.
"""

import argparse
import json
from pathlib import Path

from contrasts import CONTRASTS
from downstream import Row, read
from opinions import NEGATIONS, plain_words
from seqeval.metrics import f1_score
from two_sided import LABELS

from modernbert.core.files import write_atomically
from modernbert.core.script import as_script
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.tag import Tagger

REVIEWS = 10
"""Every so many of the long ones."""


def main() -> None:
    """Predict, compare, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("data", type=Path)
    words.add_argument("--model", default="nano")
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    phrases = read(given.data / "sst2" / "test.jsonl.xz")
    negated = [row for row in phrases if NEGATIONS.intersection(plain_words(row["sentence"]))]
    found = {
        "sentiment": {
            "accuracy on SST-2": sentiment(given.model, phrases, "sentence"),
            f"on its {len(negated)} rows with a negation": sentiment(given.model, negated, "sentence"),
            "accuracy on IMDb": sentiment(given.model, read(given.data / "imdb" / "test.jsonl.xz")[::REVIEWS], "text"),
        },
        "contrasts": contrasts(given.model),
        "entities": {"entity F1 on CoNLL-2003": entities(given.model, given.data / "conll2003" / "test.jsonl.xz")},
    }
    with write_atomically(given.out, "w") as file:
        json.dump(found, file, indent=1)
    print(json.dumps(found))


def sentiment(model: str, rows: list[Row], text: str) -> float:
    """Share of texts whose label was found."""
    predicted = TextClassifier.from_pretrained(f"{model}:sentiment").predict([row[text] for row in rows])
    right = [found.label == LABELS[row["label"]] for found, row in zip(predicted, rows, strict=True)]
    return sum(right) / len(right)


def contrasts(model: str) -> list[dict[str, float | str]]:
    """Of each text of the list, whether it praises and how likely the model finds that."""
    rows = [{"text": text, "label": label} for pair in CONTRASTS for text, label in zip(pair, (1, 0), strict=True)]
    predicted = TextClassifier.from_pretrained(f"{model}:sentiment").predict([row["text"] for row in rows])
    return [row | {"praise": round(found.scores[LABELS[1]], 3)} for row, found in zip(rows, predicted, strict=True)]


def entities(model: str, path: Path) -> float:
    """F1 of whole entities."""
    rows = read(path)
    predicted = Tagger.from_pretrained(f"{model}:entities").predict([row["tokens"] for row in rows])
    return float(f1_score([row["tags"] for row in rows], [list(found.tags) for found in predicted]))


if __name__ == "__main__":
    as_script(main)
