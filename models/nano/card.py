"""The card of the packaged model, from what its run and its judges have written down; no number in it is typed by hand.

    python models/nano/card.py runs/nano/judged --runs runs/nano --out src/modernbert/models/nano

Run from the root of the repository, where the recipes' paths lead to the shards. The folder is signed afterwards. Where a run is not
there any more, cards keep what they say of it, and only what was judged is written anew.
"""

import argparse
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from card_parts import JUDGED, contrasts, made_with, plain_took, retrieval, stage_rows, stages, text_read
from make import BEFORE, MEAN, RUNS

from modernbert.core import packaged
from modernbert.core.config import read
from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.core.script import as_script
from modernbert.model.counts import num_parameters
from modernbert.model.hf_config import from_file
from modernbert.train.config import Recipe
from modernbert.train.journal import read_metrics

FRONT = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: fill-mask
tags:
- modernbert
---
"""

HEAD_FRONT = """---
license: apache-2.0
language: en
library_name: {library}
pipeline_tag: {task}
tags:
- modernbert
---
"""

AVERAGED = f"The weights here are the mean of those that {' and '.join(MEAN)} ended with, as the hidden tokens and the blanks below speak for."

TAUGHT = {
    "sentiment": (
        "text-classification",
        "Tells praise from blame in English",
        "sentences, parts of sentences and paragraphs of Wikinews, novels and Wikipedia, some with a negation put into them",
        "words and pairs of words counted in IMDb's and SST-2's reviews, turned where a negation stands before them, under a linear model",
    ),
    "entities": (
        "token-classification",
        "Tags persons, organisations, places and other names in English",
        "lines of Wikinews and Wikipedia",
        "nano fine-tuned on CoNLL-2003",
    ),
}
"""Heads whose rows a teacher labelled: the Hub's word, what it does, what was labelled, and the teacher."""


def main() -> None:
    """Write all cards, and sign."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("judged", type=Path)
    words.add_argument("--runs", type=Path, default=Path("runs/nano"))
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    judged = {path.stem: json.loads(path.read_text()) for path in given.judged.glob("*.json")}
    if (trained := given.runs / "plain" / "training.json").exists():
        judged["plain"] = json.loads(trained.read_text())
    there = [name for name in RUNS if (given.runs / name / "resolved.json").exists()]
    if len(there) == len(RUNS):
        page = trunk_card(judged, given.runs, given.out)
    else:
        page = (given.out / "README.md").read_text()
        for name in there:
            page = read_on(page, name, given.runs)
        page = judged_anew(page, judged)
    pages = {given.out: page}
    heads = given.out / packaged.HEADS
    for name, card in (("embedding", embedding_card), ("late", late_card)):
        if (heads / name).is_dir() and ("retrieval" in judged or not (heads / name / "README.md").exists()):
            pages[heads / name] = card(judged, heads / name)
    taught = [name for name in TAUGHT if (heads / name).is_dir() and results_of(name, given.runs).exists()]
    pages |= {heads / name: taught_card(name, judged, given.runs) for name in taught}
    for folder, page in pages.items():
        with write_atomically(folder / "README.md", "w") as file:
            file.write(page)
        packaged.sign(folder)


def trunk_card(judged: dict[str, Any], runs: Path, folder: Path) -> str:
    """What the model is, what made it, how good it is, and where it fails."""
    config, _ = from_file(folder / "config.json")
    recipes = {name: read(Recipe, runs / name / "resolved.json") for name in RUNS}
    steps = {name: read_metrics(runs / name, "step") for name in recipes}
    env = json.loads((runs / RUNS[-1] / "env.json").read_text())
    tokens = sum(found[-1]["tokens"] for found in steps.values())
    hours = sum(found[-1]["seconds"] for found in steps.values()) / 3600
    parts = [
        FRONT + "\n# nano",
        f"A ModernBERT of {num_parameters(config) / 1e6:.1f}M parameters for English and Python, trained on the CPU of a small "
        f"machine. {config.num_hidden_layers} layers of {config.hidden_size}, {config.vocab_size:,} tokens, texts of up to "
        f"{config.max_position_embeddings:,}. It read {tokens / 1e6:.1f}M tokens in {hours:.1f} hours on {env['threads']} cores: "
        "enough to be of use and to test with, little enough to know few facts. It can say what is false or hurtful.",
        "## Text\n\n" + text_read(recipes["nano"]),
        f"## Training\n\n{stages(recipes, steps, env)} {AVERAGED}",
    ]
    parts += [f"## {title}\n\n{told}" for title, told in _judgements(judged)]
    made = "\n\n".join(_recipe_block(runs, name) for name in recipes)
    parts += [f"## Recipes\n\n`python models/nano/make.py CORPUS` runs all of it again.\n\n{made}"]
    return "\n\n".join(parts) + "\n"


def read_on(page: str, name: str, runs: Path) -> str:
    """The card of a trunk whose earlier runs are gone, with one more run of it; unchanged where it tells of that run."""
    if f"| {name}, " in page:
        return page
    recipe = read(Recipe, runs / name / "resolved.json")
    steps = read_metrics(runs / name, "step")
    found = re.search(r"It read ([\d.]+)M tokens in ([\d.]+) hours", page)
    *_, last_row = re.finditer(r"^\| \w+, \w+ \|.*\n", page, re.MULTILINE)
    if not found:
        raise UserError("the card does not say how much was read: write it anew, with all runs at hand")
    tokens = float(found[1]) + steps[-1]["tokens"] / 1e6
    hours = float(found[2]) + steps[-1]["seconds"] / 3600
    rows = "".join(f"| {' | '.join(row)} |\n" for row in stage_rows(name, recipe, steps))
    env = json.loads((runs / name / "env.json").read_text())
    page = page[: last_row.end()] + rows + page[last_row.end() :]
    page = page.replace(found[0], f"It read {tokens:.1f}M tokens in {hours:.1f} hours")
    before, title, after = page.partition("\n\n## Hidden tokens")
    told = f" {name} reads on from there, on {env['world_size']} processes: {made_with(env, recipe)} {AVERAGED}"
    return f"{before}{told}{title}{after.rstrip()}\n\n{_recipe_block(runs, name)}\n"


def _recipe_block(runs: Path, name: str) -> str:
    return f"```yaml\n{(runs / name / 'recipe.yaml').read_text().strip()}\n```"


def judged_anew(page: str, judged: dict[str, Any]) -> str:
    """A trunk's card with other judgements, of which it may have had none."""
    before, recipes, after = page.partition("## Recipes")
    for title, told in _judgements(judged):
        section = f"## {title}\n\n{told}\n\n"
        head, found, rest = before.partition(f"## {title}\n")
        before = head + section + (rest[rest.index("\n## ") + 1 :] if found and "\n## " in rest else "")
    return before + recipes + after


def results_of(name: str, runs: Path) -> Path:
    """What a head's fine-tuning has left."""
    return runs / "heads" / f"{name}-run" / "results.json"


def taught_card(name: str, judged: dict[str, Any], runs: Path) -> str:
    """What a head does, what it learnt from, and how well it does."""
    task, does, text, teacher = TAUGHT[name]
    facts = json.loads(results_of(name, runs).read_text())
    held = ", ".join(f"{score} {value:.3f}" for score, value in facts["validation"].items() if score in facts["test"])
    scores = ", ".join(f"{score} {value:.3f}" for score, value in judged.get("heads", {}).get(name, {}).items())
    return "\n\n".join(
        [
            HEAD_FRONT.format(library="transformers", task=task) + f"\n# nano:{name}",
            f"{does}. It began as nano, and learnt from {facts['num_train']:,} {text}, as a teacher labels them: {teacher}. "
            f"It has not seen the teacher's data, of which nothing is passed on. Against the teacher on rows kept back: {held}. "
            "Small models are often wrong: look at the probability.",
            *([f"Measured: {scores}, on test rows that neither it nor its teacher has seen. `models/nano/heads.py`."] if scores else []),
            *([contrasts(judged["heads"]["contrasts"])] if name == "sentiment" and "heads" in judged else []),
        ]
    ) + "\n"  # fmt: skip


def embedding_card(judged: dict[str, Any], folder: Path) -> str:
    """What the head is, and how well it finds."""
    return "\n\n".join(
        [
            HEAD_FRONT.format(library="transformers", task="sentence-similarity") + "\n# nano:embedding",
            "Sentence embeddings that read words and not their order, with nano's tokenizer. Mean pooling, cosine; no prompts. "
            f"Counted token vectors learnt which texts belong together: {_pairs(folder)}",
            *([retrieval(judged["retrieval"])] if "retrieval" in judged else []),
        ]
    ) + "\n"  # fmt: skip


def late_card(judged: dict[str, Any], folder: Path) -> str:
    """The same of the head that gives a vector a token."""
    config, _ = from_file(folder / "config.json")
    return "\n\n".join(
        [
            HEAD_FRONT.format(library="sentence-transformers", task="sentence-similarity") + "\n# nano:late",
            f"Late interaction (ColBERT): a vector of {config.hidden_size} numbers a token, compared by MaxSim, with nano's tokenizer. "
            "No prompts, no expansion; tokens are read one by one. A vector is as long as its token matters. They began as those of "
            f"nano:embedding, and learnt which texts belong together: {_pairs(folder)}",
            *([retrieval(judged["retrieval"])] if "retrieval" in judged else []),
        ]
    ) + "\n"  # fmt: skip


def _pairs(folder: Path) -> str:
    facts = json.loads((folder / "training.json").read_text())
    tail = statistics.mean(facts["losses"][-5:])
    code = facts.get("sources", {}).get("python")
    share = (
        f", {code:,} of them of code, mostly of packages under permissive licences (`models/nano/packages.txt`)"
        if code
        else ""
    )
    return (
        "titles, sections and sentences with what follows them (arXiv, Wikipedia), docstrings with their functions (Python), "
        f"{facts['pairs']:,} pairs{share}, {facts['epochs']:g} times, each against all others of its batch of {facts['batch']:,}, in "
        f"{facts['seconds'] / 60:.0f} minutes; loss {facts['losses'][0]:.2f} to {tail:.2f}."
    )


def _judgements(judged: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, (title, told) in JUDGED.items():
        if found := judged.get(name):
            took = name == "held_out" and "plain" in judged
            yield (
                title,
                told(found) + (plain_took(judged["plain"], BEFORE if BEFORE in found else "nano") if took else ""),
            )


if __name__ == "__main__":
    as_script(main)
