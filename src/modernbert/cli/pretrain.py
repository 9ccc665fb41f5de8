"""`modernbert pretrain`: a recipe and shards of text in, a trained model out; the same command goes on after a stop."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import tyro

from modernbert.core.log import say

if TYPE_CHECKING:
    from modernbert.train.pretrain import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrain:
    """Pre-train by a recipe. Settings follow with dots: modernbert pretrain base --optim.lr=3e-4 --data.sources.web.path=data/web"""

    recipes: tyro.conf.Positional[tuple[str, ...]]
    """Names (`modernbert recipe list`) or files, laid over each other from left to right, then settings."""
    dry_run: bool = False
    """Print what would be done, check the data, and stop there."""
    json: bool = False
    """Print the outcome as one JSON object; with --dry-run, the plan."""

    def run(self) -> None:
        """Read, run, and say where the model is."""
        from modernbert.train.recipes import read_recipe

        recipe = read_recipe(self.recipes)
        if self.dry_run:
            from modernbert.cli.recipe import Check
            from modernbert.train.corpora import Corpora

            Corpora.open(recipe)  # `recipe check` is content without text
            Check(recipes=self.recipes, json=self.json).run()
            return
        from modernbert.train.pretrain import pretrain

        result = pretrain(recipe)
        if not _is_first():
            return
        print(json.dumps(_facts(result)) if self.json else "\n".join(_lines(result)))
        if find_spec("matplotlib"):
            from modernbert.train.curves import draw

            say(f"curves:  {draw(result.run)}")


def settings_as_words(words: Sequence[str]) -> list[str]:
    """Turn `--optim.lr 3e-4` and `--optim.lr=3e-4` into `optim.lr=3e-4`, which recipes read; other flags go to the end.

    >>> settings_as_words(["base", "--dry-run", "--optim.lr", "3e-4", "--seed=3"])
    ['base', 'optim.lr=3e-4', 'seed=3', '--dry-run']
    """
    from dataclasses import fields

    from modernbert.train.config import Recipe

    own = {field.name for field in fields(Recipe)}
    changed: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.removeprefix("--").partition("=")
        is_setting = word.startswith("--") and name.split(".")[0].replace("-", "_") in own
        if not is_setting:
            changed.append(word)
        elif equals:
            changed.append(f"{name}={value}")
        else:
            changed.append(f"{name}={next(left, '')}")
    return sorted(changed, key=lambda word: word.startswith("--"))  # tyro wants words that belong together side by side


def _is_first() -> bool:
    import os

    return os.environ.get("RANK", "0") == "0"  # under torchrun one process speaks


def _facts(result: "Result") -> dict[str, object]:
    now = result.progress
    return {
        "run": str(result.run),
        "is_finished": result.model is not None,
        "model": None if result.model is None else str(result.model),
        "step": now.step,
        "tokens": now.tokens,
        "stage": now.stage,
        "skipped": now.watch["num_skipped"],
        "seconds": now.seconds,
        "held_out": {name: asdict(score) for name, score in result.scores.items()},
    }


def _lines(result: "Result") -> list[str]:
    now = result.progress
    lines = [
        f"{now.tokens:,} tokens in {now.step:,} steps, {now.seconds:,.0f} s, {now.watch['num_skipped']} steps skipped"
    ]
    lines += [
        f"held-out {name}: loss {score.loss:.3f}, {score.accuracy:.1%} of {score.num_predicted:,} masked tokens found"
        for name, score in result.scores.items()
    ]
    if result.model is None:
        return [*lines, f"stopped and saved in {result.run}: the same command goes on"]
    return [*lines, f"metrics: {result.run / 'metrics.jsonl'}", f"model:   {result.model}"]
