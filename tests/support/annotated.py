"""Small models of every kind that annotate, three of them on one trunk, and a corpus of short and long documents."""

import json
import random
from dataclasses import replace
from pathlib import Path

import torch

from modernbert.bulk.annotator import fingerprint
from modernbert.bulk.config import Recipe, models_named
from modernbert.model.config import ModelConfig
from modernbert.model.heads import SequenceClassifier, TokenClassifier
from modernbert.model.store import encoder_of, fresh, save
from support.sentences import document
from support.small import small_model

LONGEST = 48


def texts(num: int = 40, *, seed: int = 0) -> list[str]:
    """Some empty, most short, a few several times as long as the models take."""
    chance = random.Random(seed)
    return ["", *(" ".join(document(chance) for _ in range(chance.choice((1, 1, 1, 6)))) for _ in range(num - 1))]


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def corpus(folder: Path, *, files: int = 3, rows: int = 20) -> Path:
    for number in range(files):
        found = texts(rows, seed=number)
        write_jsonl(
            folder / f"{number}.jsonl",
            [{"id": f"{number}-{i}", "text": text, "source": "ab"[i % 2]} for i, text in enumerate(found)],
        )
    return folder


def models(folder: Path) -> dict[str, str]:
    """Sources by kind; `topic`, `quality` and `names` stand on one trunk, `other` on another."""
    made = {
        "topic": _saved(folder / "topic", SequenceClassifier, labels=("sea", "land", "sky")),
        "quality": _saved(folder / "quality", SequenceClassifier, labels=("score",), problem_type="regression"),
        "names": _saved(folder / "names", TokenClassifier, labels=("O", "B-PER", "I-PER")),
        "other": _saved(folder / "other", SequenceClassifier, labels=("sea", "land"), seed=1),
    }
    return {name: str(path) for name, path in made.items()}


def recipe(*sources: str, **changes: object) -> Recipe:
    found = tuple(replace(model, fingerprint=fingerprint(model.source)) for model in models_named(sources))
    return Recipe(models=found, dtype="float32", **changes)  # type: ignore[arg-type]


def _saved(folder: Path, kind: type, *, seed: int = 0, **changes: object) -> Path:
    trunk, tokenizer = small_model(seed=seed)
    config: ModelConfig = replace(trunk.config, max_position_embeddings=LONGEST, **changes)  # type: ignore[arg-type]
    model = fresh(config, kind, seed=sum(map(ord, folder.name)))
    encoder_of(model).load_state_dict(trunk.model.state_dict())
    chance = torch.Generator().manual_seed(seed)  # the same labels whatever ran before
    for parameter in model.classifier.parameters():
        torch.nn.init.normal_(parameter, std=1.0, generator=chance)  # so that documents differ by more than rounding
    save(model, folder)
    tokenizer.save(folder)
    return folder
