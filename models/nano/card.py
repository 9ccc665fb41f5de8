"""The card of the packaged model, from what its run and its judges have written down; no number in it is typed by hand.

    python models/nano/card.py runs/nano/judged --runs runs/nano --out src/modernbert/models/nano

Run from the root of the repository, where the recipes' paths lead to the shards. The folder is signed afterwards. Where a run is not
there any more, cards keep what they say of it, and only what was judged is written anew.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from blanks import BLANKS
from judged_tasks import TASKS

from modernbert.core import packaged
from modernbert.core.config import read
from modernbert.core.files import write_atomically
from modernbert.data.shards import Shards
from modernbert.model.counts import num_parameters
from modernbert.model.hf_config import from_file
from modernbert.train.config import Recipe
from modernbert.train.corpora import Corpora
from modernbert.train.journal import read_metrics

ORIGINS = {
    "wiki": ("Wikipedia, long articles of a 2015 dump", "CC BY-SA 3.0"),
    "arxiv": ("titles and abstracts of arXiv", "CC0"),
    "novels": ("English novels, 1839 to 1930", "public domain"),
    "wikinews": ("Wikinews", "CC BY 2.5"),
    "python": ("Python of 26 repositories", "MIT, BSD-3-Clause"),
}

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

TAUGHT = {
    "sentiment": (
        "text-classification",
        "Tells praise from blame in English",
        "sentences, parts of sentences and paragraphs of Wikinews, novels and Wikipedia",
        "words and pairs of words counted in IMDb's and SST-2's reviews, under a linear model",
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
    if (given.runs / "nano").is_dir():
        pages = {given.out: trunk_card(judged, given.runs, given.out)}
    else:
        pages = {given.out: judged_anew((given.out / "README.md").read_text(), judged)}
    heads = given.out / packaged.HEADS
    if (heads / "embedding").is_dir():
        pages[heads / "embedding"] = embedding_card(judged, heads / "embedding")
    if (heads / "late").is_dir():
        pages[heads / "late"] = late_card(judged, heads / "late")
    taught = [name for name in TAUGHT if (heads / name).is_dir() and results_of(name, given.runs).exists()]
    pages |= {heads / name: taught_card(name, judged, given.runs) for name in taught}
    for folder, page in pages.items():
        with write_atomically(folder / "README.md", "w") as file:
            file.write(page)
        packaged.sign(folder)


def trunk_card(judged: dict[str, Any], runs: Path, folder: Path) -> str:
    """What the model is, what made it, how good it is, and where it fails."""
    config, _ = from_file(folder / "config.json")
    recipes = {name: read(Recipe, runs / name / "resolved.json") for name in ("seed", "nano")}
    steps = {name: read_metrics(runs / name, "step") for name in recipes}
    env = json.loads((runs / "nano" / "env.json").read_text())
    tokens = sum(found[-1]["tokens"] for found in steps.values())
    hours = sum(found[-1]["seconds"] for found in steps.values()) / 3600
    parts = [
        FRONT + "\n# nano",
        f"A ModernBERT of {num_parameters(config) / 1e6:.1f}M parameters for English and Python, trained on the CPU of a small "
        f"machine. {config.num_hidden_layers} layers of {config.hidden_size}, {config.vocab_size:,} tokens, texts of up to "
        f"{config.max_position_embeddings:,}. It read {tokens / 1e6:.1f}M tokens in {hours:.1f} hours on {env['threads']} cores: "
        "enough to be of use and to test with, little enough to know few facts. It can say what is false or hurtful.",
        "## Text\n\n" + _text(recipes["nano"]),
        "## Training\n\n" + _training(recipes, steps, env),
    ]
    parts += [f"## {title}\n\n{told}" for title, told in _judgements(judged)]
    made = "\n\n".join(f"```yaml\n{(runs / name / 'recipe.yaml').read_text().strip()}\n```" for name in recipes)
    parts += [f"## Recipes\n\n`python models/nano/make.py CORPUS` runs all of it again.\n\n{made}"]
    return "\n\n".join(parts) + "\n"


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
        ]
    ) + "\n"  # fmt: skip


def embedding_card(judged: dict[str, Any], folder: Path) -> str:
    """What the head is, and how well it finds."""
    return "\n\n".join(
        [
            HEAD_FRONT.format(library="transformers", task="sentence-similarity") + "\n# nano:embedding",
            "Sentence embeddings that read words and not their order, with nano's tokenizer. Mean pooling, cosine; no prompts. "
            f"Counted token vectors learnt which texts belong together: {_pairs(folder)}",
            *([_retrieval(judged["retrieval"])] if "retrieval" in judged else []),
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
            *([_retrieval(judged["retrieval"])] if "retrieval" in judged else []),
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


def _text(recipe: Recipe) -> str:
    weights = {name: source.weight for name, source in recipe.data.sources.items()}
    rows = [["source", "licence", "documents", "tokens", "share of what was read"]]
    for name, weight in weights.items():
        shards = Shards.open(recipe.data.sources[name].path)
        origin, licence = ORIGINS[name]
        share = weight / sum(weights.values())
        rows.append([origin, licence, f"{len(shards):,}", f"{shards.num_tokens / 1e6:.1f}M", f"{share:.0%}"])
    times = max(count for epochs in Corpora.open(recipe).epochs.values() for count in epochs.values())
    return (
        f"{_table(rows)}\n\nThe shares are those of the first and the last stage; the second asks for long documents. No source is "
        f"read more than {times:.2f} times in a stage. Held-out documents were chosen before, and near duplicates left out."
    )


def _training(recipes: dict[str, Recipe], steps: dict[str, list[dict[str, Any]]], env: dict[str, Any]) -> str:
    rows = [["stage", "layers", "tokens", "length", "masked", "tokens a second", "hours"]]
    for run, recipe in recipes.items():
        for name, stage in recipe.stages.items():
            own = [step for step in steps[run] if step["stage"] == name]
            speeds = [step["tokens_per_second"] for step in own]
            seconds = sum(step["batch_tokens"] / step["tokens_per_second"] for step in own)
            shape = recipe.model
            layers = shape if isinstance(shape, str) else f"{shape.num_hidden_layers} x {shape.hidden_size}"
            row = [f"{run}, {name}", layers, f"{sum(step['batch_tokens'] for step in own) / 1e6:.1f}M"]
            row += [f"{int(stage.rows.length):,}", f"{stage.masking.rate:.0%}"]
            rows.append([*row, f"{statistics.median(speeds):,.0f}", f"{seconds / 3600:.1f}"])
    return (
        f"{_table(rows)}\n\nA small model starts from counted embeddings; the larger one grows from it without forgetting "
        f"(`start: {{how: preserve}}`). Python {env['python']}, torch {env['packages']['torch']}, commit "
        f"{env['commit'][:12] or 'unknown'}, seed {recipes['nano'].seed}."
    )


def _judgements(judged: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if found := judged.get("held_out"):
        yield "Hidden tokens found in held-out text", _held_out(found)
    if found := judged.get("far_clues"):
        yield "Words whose only clue lies far back", _far(found)
    if found := judged.get("downstream"):
        yield "After fine-tuning", _downstream(found)
    if found := judged.get("retrieval"):
        yield "Retrieval", _retrieval(found)
    if found := judged.get("blanks"):
        yield "Blanks", _blanks(found)


def _held_out(found: dict[str, Any]) -> str:
    sources = list(next(iter(found.values())))
    rows = [["", *sources]]
    for who, scores in found.items():
        rows.append([who, *(f"{scores[s]['accuracy']:.1%}, {scores[s]['bits_per_byte']:.2f}" for s in sources)])
    told = "Share of the hidden tokens (15 %) that the likeliest guess got right, and bits a byte of them. unigram and bigram count the training text"
    if "plain" in found:
        told += (
            "; plain is the same shape trained by transformers' Trainer in the usual way (AdamW, 15 % masked, "
            "padded, one stage) for as long on the same machine as its row's file says"
        )
    return f"{_table(rows)}\n\n{told}. `models/nano/held_out.py`."


def _far(found: dict[str, Any]) -> str:
    rows = [["", "source", "words", "in the whole document", "in 1,024 tokens around"]]
    for who, scores in found.items():
        for source, s in scores.items():
            rows.append(
                [who, source, str(s["words"]), f"{s['whole']:.1%}, loss {s['whole_loss']:.2f}", f"{s['alone']:.1%}, loss {s['alone_loss']:.2f}"]
            )  # fmt: skip
    return f"{_table(rows)}\n\nRare words that the document names only more than 1,024 tokens before. `models/nano/far_clues.py`."


def _downstream(found: dict[str, Any]) -> str:
    contenders = ("pretrained", "scratch", "tf-idf")
    rows = [["task", "score", "nano", "the same shape from scratch", "TF-IDF and a linear model", "rows", "epochs"]]
    for name, scores in found.items():
        task = TASKS[name]
        figures = [f"{scores[who]['score']:.3f}" if who in scores else "" for who in contenders]
        rows.append([name, task.score, *figures, f"{task.rows:,}", str(task.epochs)])
    return (
        f"{_table(rows)}\n\nA plain transformers `Trainer`, the same epochs and rows for both; for comparing the columns, not with papers: "
        "few rows, short texts. `models/nano/downstream.py`."
    )


def _retrieval(found: dict[str, Any]) -> str:
    sets = list(next(iter(found.values())))
    rows = [["nDCG@10", *sets], *([who, *(f"{scores[s]:.3f}" for s in sets)] for who, scores in found.items())]
    told = "embedding and late are nano's heads, trunk is the model without them; of two together the scores are added, 0.3 of vectors"
    return f"{_table(rows)}\n\n{told}. `models/nano/retrieval.py`."


def _blanks(found: Sequence[dict[str, Any]]) -> str:
    right = {kind: [row["rank"] == 1 for row in found if row["kind"] == kind] for kind in BLANKS}
    told = ", ".join(f"{kind} {sum(hits)} of {len(hits)}" for kind, hits in right.items())
    rows = [["", "text", "likeliest", "a right one is number"]]
    for row in found:
        text = row["text"].replace("\n", " ⏎ ").replace("|", "\\|")
        guesses = ", ".join(f"`{guess}`" if guess.strip() else "(space)" for guess in row["top"])
        rows.append([row["kind"], f"`{text}`", guesses, str(row["rank"] or "not in 20")])
    return f"First guess right: {told}. The list was written before training and is whole, failures included.\n\n{_table(rows)}"


def _table(rows: list[list[str]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


if __name__ == "__main__":
    main()
