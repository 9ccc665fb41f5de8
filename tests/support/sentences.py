"""English of a small grammar: as much text as a test wants, the same on every machine, with something to be learnt in it."""

import json
import random
from pathlib import Path

SUBJECTS = [
    "the keeper",
    "the captain",
    "a sailor",
    "the harbour master",
    "her daughter",
    "the old pilot",
    "nobody",
    "every gull",
]
VERBS = ["counted", "forgot", "painted", "watched", "heard", "described", "repaired", "followed"]
OBJECTS = ["the ships", "seven lamps", "the bell", "a letter", "the northern light", "the fog", "his book", "two boats"]
WHEN = ["before noon", "in winter", "at night", "when the wind fell", "every Sunday", "again", "without a word"]
"""What happens follows half of the time from who it happens to, so a masked word can be guessed."""


def document(chance: random.Random) -> str:
    """One to twelve sentences."""
    sentences = []
    for _ in range(1 + int(12 * chance.random())):
        who = int(len(SUBJECTS) * chance.random())
        what = who if chance.random() < 0.5 else int(len(VERBS) * chance.random())
        when = WHEN[int(len(WHEN) * chance.random())]
        sentences.append(f"{SUBJECTS[who].capitalize()} {VERBS[what]} {OBJECTS[what]} {when}.")
    return " ".join(sentences)


def write_corpus(path: Path, num: int, *, seed: int = 0) -> Path:
    """A .jsonl file of so many documents."""
    chance = random.Random(seed)
    rows = [json.dumps({"id": f"d{number}", "text": document(chance)}) for number in range(num)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
