"""What cards are put together from: tables of what was read, how it was trained, and what the judges found. Each is Markdown."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from blanks import BLANKS
from judged_tasks import TASKS
from make import BEFORE

from modernbert.data.shards import Shards
from modernbert.train.config import Recipe
from modernbert.train.corpora import Corpora

ORIGINS = {
    "wiki": ("Wikipedia, long articles of a 2015 dump", "CC BY-SA 3.0"),
    "arxiv": ("titles and abstracts of arXiv", "CC0"),
    "novels": ("English novels, 1839 to 1930", "public domain"),
    "wikinews": ("Wikinews", "CC BY 2.5"),
    "python": ("Python of 26 repositories", "MIT, BSD-3-Clause"),
    "zh": ("a sample of the Chinese Wikipedia", "CC BY-SA 3.0"),
    "ja": ("Japanese books of Aozora Bunko", "public domain in Japan"),
}
"""Of each source, what it is and under which licence."""


def text_read(recipe: Recipe) -> str:
    """The sources, and how much of the text is of each."""
    weights = {name: source.weight for name, source in recipe.data.sources.items()}
    rows = [["source", "licence", "documents", "tokens", "share of what was read"]]
    for name, weight in weights.items():
        shards = Shards.open(recipe.data.sources[name].path)
        origin, licence = ORIGINS[name]
        share = weight / sum(weights.values())
        rows.append([origin, licence, f"{len(shards):,}", f"{shards.num_tokens / 1e6:.1f}M", f"{share:.0%}"])
    times = max(count for epochs in Corpora.open(recipe).epochs.values() for count in epochs.values())
    return (
        f"{table(rows)}\n\nThe shares are those of the first and the last stage; the second asks for long documents. No source is "
        f"read more than {times:.2f} times in a stage. Held-out documents were chosen before, and near duplicates left out."
    )


def stages(recipes: dict[str, Recipe], steps: dict[str, list[dict[str, Any]]], env: dict[str, Any]) -> str:
    """One line a stage of each run, from the runs' own metrics."""
    rows = [["stage", "layers", "tokens", "length", "masked", "tokens a second", "hours at that"]]
    rows += [row for run, recipe in recipes.items() for row in stage_rows(run, recipe, steps[run])]
    *_, last = recipes.values()
    began = (
        "A small model starts from counted embeddings; the larger one grows from it without forgetting (`start: {how: preserve}`)."
        if any(recipe.start.kind == "grow" for recipe in recipes.values())
        else "It starts from counted embeddings."
    )
    return f"{table(rows)}\n\n{began} {made_with(env, last)}"


def stage_rows(run: str, recipe: Recipe, steps: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A run's lines of the table of `stages`."""
    rows = []
    for name, stage in recipe.stages.items():
        own = [step for step in steps if step["stage"] == name]
        tokens = sum(step["batch_tokens"] for step in own)
        speed = statistics.median(step["tokens_per_second"] for step in own)
        shape = recipe.model
        layers = shape if isinstance(shape, str) else f"{shape.num_hidden_layers} x {shape.hidden_size}"
        row = [f"{run}, {name}", layers, f"{tokens / 1e6:.1f}M"]
        row += [f"{int(stage.rows.length):,}", f"{stage.masking.rate:.0%}"]
        rows.append([*row, f"{speed:,.0f}", f"{tokens / speed / 3600:.1f}"])
    return rows


def made_with(env: dict[str, Any], recipe: Recipe) -> str:
    """What a run was made with."""
    return (
        f"Python {env['python']}, torch {env['packages']['torch']}, commit {env['commit'][:12] or 'unknown'}, seed "
        f"{recipe.seed}."
    )


def curve(evaluations: Sequence[dict[str, Any]], sources: Sequence[str]) -> str:
    """Loss of what was held out, as training went on."""
    rows = [["tokens read", "stage", *sources]]
    for found in evaluations:
        losses = [f"{found[name]['loss']:.3f}, {found[name]['accuracy']:.1%}" for name in sources]
        rows.append([f"{found['tokens'] / 1e6:.1f}M", found["stage"], *losses])
    return f"{table(rows)}\n\nNats a hidden token of held-out text (15 %), and the share of them found."


def hidden_tokens(found: dict[str, Any]) -> str:
    """What `held_out.py` found."""
    sources = list(next(iter(found.values())))
    rows = [["", *sources]]
    for who, scores in found.items():
        rows.append([who, *(f"{scores[s]['accuracy']:.1%}, {scores[s]['bits_per_byte']:.2f}" for s in sources)])
    told = "Share of the hidden tokens (15 %) that the likeliest guess got right, and bits a byte of them. unigram and bigram count the training text"
    if "plain" in found:
        told += (
            "; plain is the same shape trained by transformers' Trainer in the usual way (AdamW, 15 % masked, "
            "padded, one stage)"
        )
    if BEFORE in found:
        told += f"; {BEFORE} is what further began with"
    return f"{table(rows)}\n\n{told}. `models/nano/held_out.py`."


def plain_took(facts: dict[str, Any], whose: str = "nano") -> str:
    """What `plain.py` says of its run: as long as the stages of `whose` take on the same cores, as far as its plan was right."""
    return (
        f" plain read for {facts['seconds'] / 60:.0f} minutes, {facts['steps']:,} batches; the stages of {whose} take "
        f"{facts['minutes_planned']:.0f} minutes on the same cores."
    )


def far_clues(found: dict[str, Any]) -> str:
    """What `far_clues.py` found."""
    rows = [["", "source", "words", "in the whole document", "in 1,024 tokens around"]]
    for who, scores in found.items():
        for source, s in scores.items():
            rows.append(
                [who, source, str(s["words"]), f"{s['whole']:.1%}, loss {s['whole_loss']:.2f}", f"{s['alone']:.1%}, loss {s['alone_loss']:.2f}"]
            )  # fmt: skip
    return f"{table(rows)}\n\nRare words that the document names only more than 1,024 tokens before. `models/nano/far_clues.py`."


def after_fine_tuning(found: dict[str, Any], name: str = "nano") -> str:
    """What `downstream.py` found of the model called so."""
    contenders = ("pretrained", "scratch", "tf-idf")
    rows = [["task", "score", name, "the same shape from scratch", "TF-IDF and a linear model", "rows", "epochs"]]
    for what, scores in found.items():
        task = TASKS[what]
        figures = [f"{scores[who]['score']:.3f}" if who in scores else "" for who in contenders]
        rows.append([what, task.score, *figures, f"{task.rows:,}", str(task.epochs)])
    return (
        f"{table(rows)}\n\nA plain transformers `Trainer`, the same epochs and rows for both, each at the better of two learning rates "
        "by a tenth of the rows; for comparing the columns, not with papers: few rows, short texts. `models/nano/downstream.py`."
    )


def retrieval(found: dict[str, Any]) -> str:
    """What `retrieval.py` found."""
    sets = list(next(iter(found.values())))
    rows = [["nDCG@10", *sets], *([who, *(f"{scores[s]:.3f}" for s in sets)] for who, scores in found.items())]
    told = "embedding and late are nano's heads, trunk is the model without them; of two together the scores are added, 0.3 of vectors"
    return f"{table(rows)}\n\n{told}. `models/nano/retrieval.py`."


def contrasts(found: Sequence[dict[str, Any]]) -> str:
    """What `heads.py` found of texts that differ by a word or two, all of it."""
    rows = [["praises", "", "blames", ""]]
    for praise, blame in zip(found[::2], found[1::2], strict=True):
        rows.append([praise["text"], f"{praise['praise']:.0%}", blame["text"], f"{blame['praise']:.0%}"])
    right = sum((one["praise"] > 0.5) == (one["label"] == 1) for one in found)
    ordered = sum(praise["praise"] > blame["praise"] for praise, blame in zip(found[::2], found[1::2], strict=True))
    return (
        f"Texts that differ by a word or two, and how likely praise is found: {right} of {len(found)} on the right side of a half, "
        f"{ordered} of {len(found) // 2} pairs in the right order. The list was written before training and is whole "
        f"(`models/nano/contrasts.py`).\n\n{table(rows)}"
    )


def blanks(found: Sequence[dict[str, Any]]) -> str:
    """What `blanks.py` found, all of it."""
    right = {
        kind: [row["rank"] == 1 for row in found if row["kind"] == kind]
        for kind in BLANKS
        if any(row["kind"] == kind for row in found)
    }
    told = ", ".join(f"{kind} {sum(hits)} of {len(hits)}" for kind, hits in right.items())
    rows = [["", "text", "likeliest", "a right one is number"]]
    for row in found:
        text = row["text"].replace("\n", " ⏎ ").replace("|", "\\|")
        guesses = ", ".join(f"`{guess}`" if guess.strip() else "(space)" for guess in row["top"])
        rows.append([row["kind"], f"`{text}`", guesses, str(row["rank"] or "not in 20")])
    return f"First guess right: {told}. The list was written before training and is whole, failures included.\n\n{table(rows)}"


def table(rows: list[list[str]]) -> str:
    """The first row is the head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


JUDGED: Mapping[str, tuple[str, Callable[[Any], str]]] = MappingProxyType(
    {
        "held_out": ("Hidden tokens found in held-out text", hidden_tokens),
        "far_clues": ("Words whose only clue lies far back", far_clues),
        "downstream": ("After fine-tuning", after_fine_tuning),
        "retrieval": ("Retrieval", retrieval),
        "blanks": ("Blanks", blanks),
    }
)
"""By the script that judged: a section's title, and what it says."""
