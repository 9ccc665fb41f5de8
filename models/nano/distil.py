"""Rows for a head from open text: a teacher that was trained on data which may not be passed on labels text which may.

    python models/nano/distil.py sentiment TASKS CORPUS... --out rows/sentiment
    python models/nano/distil.py entities TEACHER CORPUS... --out rows/entities

CORPUS are files of documents; TASKS is a folder with sst2 and imdb as JSON lines, TEACHER a model of `modernbert finetune`.
The head learns from the rows, and never sees the teacher's data. What the teacher is unsure of is kept, for a head that saw only
clear cases knows no others: of sentiment a row holds the teacher's log odds, of entities its tags.
"""

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from downstream import read
from opinions import Counted, plain_words

from modernbert.core.files import atomic_folder
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.data.sources import read_documents
from modernbert.tasks.tag import Tagger

Row = dict[str, object]

SENTENCE = re.compile(r"[^.!?\n]+[.!?]+[\"”’']?")
PART = re.compile(r"[,;:()—\"“”]|--")
ROWS = {"sentiment": 110_000, "entities": 88_000}
LENGTHS = (12, 300)
"""Characters of a sentence or a part of one."""
PARAGRAPHS = (500, 1400)
PARAGRAPH_OF = 20
"""One more row in so many is a paragraph."""
VALIDATION = 1000

ODDS = 4.0
"""Log odds beyond it are as good as certain."""
IMDB_WEIGHT = 0.5
LOWER_SHARE, UPPER_SHARE = 0.5, 0.08
"""Rows in another case: reviews are often typed so, headlines set so."""
OFTEN = 20
"""Pieces with a word that the teacher minds, where the corpus has as many: novels seldom say that something is boring."""
NEGATED = 0.3
"""Of the pieces with a verb that takes one, those that are read with a negation, too."""
TAKES_NOT = re.compile(
    r"\b(is|are|was|were|has|have|had|do|does|did|would|could|should|must)\b(?! not|n't)", re.IGNORECASE
)


def main() -> None:
    """Draw, label, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("kind", choices=ROWS)
    words.add_argument("teacher", type=Path)
    words.add_argument("corpus", nargs="+")
    words.add_argument(
        "--rows", type=int, help="that are drawn, as many from each file; absent: what the packaged head had"
    )
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    draw = random.Random(given.seed)
    label = sentiments if given.kind == "sentiment" else entities
    rows = list(label(given.teacher, given.corpus, given.rows or ROWS[given.kind], draw))
    draw.shuffle(rows)
    with atomic_folder(given.out) as out:
        for name, part in (("validation", rows[:VALIDATION]), ("train", rows[VALIDATION:])):
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in part)
            (out / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    say(f"{given.out}: {len(rows):,} rows")


def sentiments(tasks: Path, corpus: Sequence[str], count: int, draw: random.Random) -> Iterator[Row]:
    """Sentences, parts of them and some paragraphs, with how much more likely praise is than blame, in log odds."""
    reviews = [(row["text"].replace("<br />", " "), row["label"]) for row in read(tasks / "imdb" / "train.jsonl.xz")]
    phrases = [(row["sentence"], row["label"]) for row in read(tasks / "sst2" / "train.jsonl.xz")]
    short, long = Counted(phrases), Counted(reviews)
    minded = short.minds()
    pieces = drawn(corpus, count, lambda text: _pieces(text, draw), draw, lambda own: seldom_first(own, minded))
    texts = [*pieces, *negated(pieces, draw), *drawn(corpus, count // PARAGRAPH_OF, _paragraphs, draw)]
    odds = short.log_odds(texts) + IMDB_WEIGHT * long.log_odds(texts)
    for text, value in zip(texts, np.clip(odds, -ODDS, ODDS).tolist(), strict=True):
        yield {"text": text.lower() if draw.random() < LOWER_SHARE else text, "label": round(value, 3)}


def entities(teacher: Path, corpus: Sequence[str], count: int, draw: random.Random) -> Iterator[Row]:
    """Sentences and headings with a tag for each word, four with an entity for each without."""
    texts = drawn(corpus, count, _lines, draw)
    cased = [text.upper() if draw.random() < UPPER_SHARE else text for text in texts]
    found = Tagger.from_pretrained(teacher).stream(cased, show_progress=True)
    rows = [{"tokens": list(one.words), "tags": list(one.tags)} for one in found if one.words]
    some, none = ([row for row in rows if (set(row["tags"]) != {"O"}) is wanted] for wanted in (True, False))
    yield from some
    yield from none[: len(some) // 4]


def drawn(
    corpus: Sequence[str],
    count: int,
    pieces: Callable[[str], Iterator[str]],
    draw: random.Random,
    order: Callable[[list[str]], list[str]] = list,
) -> list[str]:
    """Different pieces of documents, as many from each file: the first of those in `order`, which is given them shuffled."""
    found: list[str] = []
    for path in corpus:
        own = sorted({piece for document in read_documents([path]) for piece in pieces(document.text)})
        draw.shuffle(own)
        found += order(own)[: count // len(corpus)]
    return found


def seldom_first(pieces: Sequence[str], minded: frozenset[str]) -> list[str]:
    """Pieces with a word of `minded` that fewer than OFTEN before them have, then the rest; each in the order given."""
    seen: Counter[str] = Counter()
    first, rest = [], []
    for piece in pieces:
        found = minded.intersection(plain_words(piece))
        (first if any(seen[word] < OFTEN for word in found) else rest).append(piece)
        seen.update(found)
    return first + rest


def negated(pieces: Sequence[str], draw: random.Random) -> Iterator[str]:
    """Some of them with a negation behind their first verb that takes one, in full or short."""
    for piece in pieces:
        if TAKES_NOT.search(piece) and draw.random() < NEGATED:
            yield TAKES_NOT.sub(draw.choice((r"\1 not", r"\1n't")), piece, count=1)


def _pieces(text: str, draw: random.Random) -> Iterator[str]:
    """Sentences, every other one as a part of it: opinions are often said in few words."""
    for match in SENTENCE.finditer(text):
        sentence = match.group().strip()
        parts = [part.strip() for part in PART.split(sentence)] if draw.random() < 0.5 else [sentence]
        piece = draw.choice(parts)
        if LENGTHS[0] <= len(piece) <= LENGTHS[1]:
            yield piece


def _paragraphs(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if PARAGRAPHS[0] <= len(line) <= PARAGRAPHS[1])


def _lines(text: str) -> Iterator[str]:
    """Sentences, and short lines that are none: headings, names, results."""
    for line in map(str.strip, text.split("\n")):
        if LENGTHS[0] <= len(line) <= 60 and not line.endswith("."):
            yield line
        yield from (
            found
            for found in (match.group().strip() for match in SENTENCE.finditer(line))
            if LENGTHS[0] <= len(found) <= LENGTHS[1]
        )


if __name__ == "__main__":
    as_script(main)
