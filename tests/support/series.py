"""A run's published folders, as they lie on disk."""

import json
from pathlib import Path

from modernbert.model.store import fresh, save
from support.texts import small_tokenizer
from support.tiny import tiny_config

RECIPE = "model: tiny\nseed: 17\n"


def published(home: Path, *steps: int) -> list[Path]:
    """One small model a step in `home`/published, with a tokenizer and a training.json; the recipe in `home`."""
    folders = [home / "published" / f"step-{step:07d}" for step in steps]
    for folder, step in zip(folders, steps, strict=True):
        save(fresh(tiny_config(hidden_size=16, num_hidden_layers=2), seed=step), folder)
        small_tokenizer().save(folder)
        said = {"step": step, "tokens": step * 1000, "stage": "pretrain", "loss": 3.25 if step else None}
        (folder / "training.json").write_text(json.dumps(said))
    (home / "recipe.yaml").write_text(RECIPE)
    return folders
