"""`modernbert finetune`: labelled rows in, a model that classifies, tags, answers or chooses out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import tyro

from modernbert.core.log import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune:
    """Fine-tune by a recipe or by flags: modernbert finetune --task seq_cls --dataset reviews/ --learning-rate 8e-5

    Flags are the recipe's settings: --task --model --dataset --validation --test --columns.text --num-labels --out --tuner
    --lora-rank --lora-alpha --target-modules --learning-rate --num-train-epochs --max-length --per-device-train-batch-size
    --class-weights --early-stopping-patience --seed and more; `modernbert finetune --settings` shows all.
    """

    recipes: tyro.conf.Positional[tuple[str, ...]] = ()
    """Files or names of shipped recipes (imdb, hc3), laid over each other from left to right, then flags."""
    settings: bool = False
    """Print every setting with what it means, and stop there."""
    push_to_hub: str | None = None
    """Upload the finished model with its card, as owner/name on the Hub."""
    private: bool = False
    """With --push-to-hub: make the repository private when it is new."""
    json: bool = False
    """Print the outcome as one JSON object."""

    def run(self) -> None:
        """Read, train, print the scores."""
        if self.settings:
            print("\n".join(_explained()))
            return
        from modernbert.tasks.recipes import read_recipe

        settings = read_recipe(self.recipes)
        if self.push_to_hub is not None:
            from modernbert.model.publish import check_repo

            check_repo(self.push_to_hub)
        from modernbert.tasks.finetune.run import finetune

        outcome = finetune(settings)
        if self.json:
            print(json.dumps({**asdict(outcome), "folder": str(outcome.folder), "model": str(outcome.model)}))
        elif not outcome.is_finished:
            print(f"stopped and saved in {outcome.folder}: the same command goes on")
        else:
            rows = "test" if outcome.has_test else "validation (there are no test rows)"
            print(f"{rows}: " + ", ".join(f"{name} {value:.4f}" for name, value in outcome.test.items()))
            if outcome.baseline:
                print("TF-IDF: " + ", ".join(f"{name} {value:.4f}" for name, value in outcome.baseline.items()))
            print(f"model: {outcome.model}")
        if outcome.is_finished and self.push_to_hub is not None:
            from huggingface_hub import HfApi

            from modernbert.model.publish import publish_folder

            publish_folder(outcome.model, self.push_to_hub, HfApi(), private=self.private)
            say(f"uploaded to {self.push_to_hub}")
        if outcome.is_finished and find_spec("matplotlib"):
            from modernbert.tasks.finetune.curves import draw

            say(f"curves: {draw(outcome.folder)}")


_OWN = ("--settings", "--private", "--json", "--help", "-h")


def finetune_words(words: Sequence[str]) -> list[str]:
    """Turn `--learning-rate 1e-4` and `--no-accelerate` into `learning-rate=1e-4`, `accelerate=false`, which recipes read.

    >>> finetune_words(["imdb", "--tuner", "lora", "--seed=3", "--no-accelerate", "--json"])
    ['imdb', 'tuner=lora', 'seed=3', 'accelerate=false', '--json']
    """
    from dataclasses import fields

    from modernbert.tasks.config import Finetune as Settings

    kinds = {field.name: field.type for field in fields(Settings)}
    changed: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.removeprefix("--").partition("=")
        plain = name.split(".")[0].replace("-", "_")
        if word.startswith("--no-") and "bool" in str(kinds.get(plain.removeprefix("no_"))):
            changed.append(f"{name.removeprefix('no-')}=false")
        elif plain == "push_to_hub":
            changed.append(word if equals else f"{word}={next(left, '')}")
        elif not word.startswith("--") or word in _OWN:
            changed.append(word)
        elif equals:
            changed.append(f"{name}={value}")
        elif "bool" in str(kinds.get(plain)):
            changed.append(f"{name}=true")
        else:
            changed.append(f"{name}={next(left, '')}")
    return sorted(changed, key=lambda word: word.startswith("--"))


def _explained() -> list[str]:
    """The settings with their defaults and docstrings, as the source has them."""
    import ast
    import inspect

    from modernbert.tasks import config

    tree = ast.parse(inspect.getsource(config))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Finetune")
    lines: list[str] = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = "" if node.value is None else f" = {ast.unparse(node.value)}"
            lines.append(f"--{node.target.id.replace('_', '-')}: {ast.unparse(node.annotation)}{default}")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and lines:
            lines.append("    " + " ".join(str(node.value.value).split()))
    return lines
