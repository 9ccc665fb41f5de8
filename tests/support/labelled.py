"""Small labelled sets of every task, with something to be learnt in each."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from support.sentences import OBJECTS, SUBJECTS, VERBS, WHEN

Row = dict[str, object]


def _sentence(chance: random.Random) -> str:
    return (
        f"{chance.choice(SUBJECTS).capitalize()} {chance.choice(VERBS)} {chance.choice(OBJECTS)} {chance.choice(WHEN)}."
    )


def classified(chance: random.Random) -> Row:
    text = _sentence(chance)
    return {"text": text, "label": "day" if any(word in text for word in ("noon", "Sunday", "wind")) else "other"}


def paired(chance: random.Random) -> Row:
    one = _sentence(chance)
    other = one if chance.random() < 0.5 else _sentence(chance)
    return {"premise": one, "hypothesis": other, "label": int(one == other)}


def several(chance: random.Random) -> Row:
    text = _sentence(chance)
    return {"text": text, "labels": [word for word in ("bell", "ships", "fog") if word in text]}


def measured(chance: random.Random) -> Row:
    text = " ".join(_sentence(chance) for _ in range(chance.randint(1, 4)))
    return {"sentence1": text, "sentence2": "How long?", "score": len(text) / 100}


def tagged(chance: random.Random) -> Row:
    words, tags = [], []
    for word in _sentence(chance).replace(".", " .").split():
        words.append(word)
        tags.append("B-OBJ" if word in ("ships", "lamps", "bell", "letter") else "O")
    return {"tokens": words, "tags": tags}


def asked(chance: random.Random) -> Row:
    before, middle, after = (_sentence(chance) for _ in range(3))
    context = f"{before} {middle} {after}"
    if chance.random() < 0.2:
        return {"question": "What fell?", "context": context, "answers": {"text": [], "answer_start": []}}
    found = middle.split()[-1]
    start = len(before) + 1 + middle.rindex(found)
    return {"question": f"When of {middle}", "context": context, "answers": {"text": [found], "answer_start": [start]}}


def chosen(chance: random.Random) -> Row:
    text = _sentence(chance)
    right = chance.randrange(3)
    choices = [text if place == right else _sentence(chance) for place in range(3)]
    return {"question": text, "choices": choices, "label": right}


ROWS: dict[str, Callable[[random.Random], Row]] = {
    "seq_cls": classified,
    "multi_label": several,
    "regression": measured,
    "token_cls": tagged,
    "qa": asked,
    "multiple_choice": chosen,
}


def write_rows(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_set(folder: Path, make: Callable[[random.Random], Row], *, num: int = 48, seed: int = 0) -> Path:
    """train.jsonl and validation.jsonl."""
    chance = random.Random(seed)
    write_rows(folder / "train.jsonl", [make(chance) for _ in range(num)])
    write_rows(folder / "validation.jsonl", [make(chance) for _ in range(max(8, num // 3))])
    return folder
