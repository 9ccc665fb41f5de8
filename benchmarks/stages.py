"""The three stages and the tiled start on a small budget: does long context help far away, does a smaller model help a larger?

    python benchmarks/stages.py DATA.yaml            runs what is missing, and writes docs/stages.md
    python benchmarks/stages.py DATA.yaml --report   writes the page from the runs that are there

DATA.yaml is as for ablations.py. `three-stages` is one run; every stage's model is judged again on documents of the last
stage's length, by the place of the masked token. `wide` is a larger model twice: from random weights, and tiled from the
first stage's model.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ablations import DOCS, mean_loss, sources_of
from modernbert.core.config import read
from modernbert.core.files import write_atomically
from modernbert.core.quantities import Tokens
from modernbert.core.script import as_script
from modernbert.core.seeds import Seeds
from modernbert.train.config import Recipe
from modernbert.train.corpora import Corpora
from modernbert.train.evaluation import Score, evaluate
from modernbert.train.journal import read_metrics
from modernbert.train.start import read_model
from modernbert.train.step import Trainer

FOLDER = Path(__file__).parent / "stages"
JUDGED = Tokens(60_000)
"""Held-out tokens of each source for the loss by position; enough masked ones beyond position 1,024."""


def train(recipe: str, run: Path, data: Path, *settings: str) -> None:
    if (run / "model" / "config.json").exists():
        return
    files = [str(FOLDER / f"{recipe}.yaml"), str(data)]
    words = [sys.executable, "-m", "modernbert.cli.main", "pretrain", *files, f"run={run}", *settings]
    subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)


def by_stage(run: Path) -> dict[str, dict[str, Score]]:
    """Every stage's model on the last stage's documents: scores by stage and source."""
    recipe = read(Recipe, run / "resolved.json")
    corpora = Corpora.open(replace(recipe, evaluation=replace(recipe.evaluation, tokens=JUDGED)))
    rows = dict(corpora.held_out(list(recipe.stages.values())[-1]))
    scores = {}
    for stage, checkpoint in zip(recipe.stages, stage_ends(run), strict=True):
        trainer = Trainer(read_model(checkpoint), recipe.optim, seeds=Seeds(0))
        scores[stage] = {name: evaluate(trainer, rows[name]) for name in rows}
    return scores


def stage_ends(run: Path) -> list[Path]:
    """The model at the end of each stage."""
    ends: dict[str, int] = {}
    for line in read_metrics(run, "step"):
        ends[line["stage"]] = line["step"]
    return [run / "published" / f"step-{step:08d}" for step in ends.values()]


def page(scores: Mapping[str, Mapping[str, Score]], stages: Path, wide: Path, tiled: Path) -> str:
    recipe = read(Recipe, stages / "resolved.json")
    sources = list(next(iter(scores.values())))
    evaluations = read_metrics(stages, "evaluation")
    last = {line["stage"]: line for line in evaluations}
    longest = list(recipe.stages.values())[-1].rows.length
    lines = [
        "# Three stages, and a tiled start, on a small budget",
        "",
        f"One run of the `{recipe.model}` size: {', '.join(f'{name} {stage.tokens}' for name, stage in recipe.stages.items())}.",
        "",
        "## Masked tokens found in held-out text at the end of each stage",
        "",
        f"| stage | documents of | {' | '.join(sources)} | mean loss |",
        "|---|---:|" + "---:|" * (len(sources) + 1),
        *(
            f"| {name} | {stage.rows.length} | "
            + " | ".join(f"{sources_of(last[name])[source]['accuracy']:.1%}" for source in sources)
            + f" | {mean_loss(last[name]):.3f} |"
            for name, stage in recipe.stages.items()
        ),
        "",
        "![the run](stages-run.png)",
        "",
        "## What the long stage does, by the place of the masked token",
        "",
        f"Each stage's model on the same held-out documents of up to {longest}, under the same masks.",
        "",
        "![loss by position](stages-positions.png)",
        "",
        f"| loss before position 1,024, and beyond | {' | '.join(sources)} |",
        "|---|" + "---:|" * len(sources),
        *(
            f"| after {stage} | " + " | ".join(_near_and_far(found[source]) for source in sources) + " |"
            for stage, found in scores.items()
        ),
        "",
        _told(scores),
        "",
        "## A larger model from a smaller one",
        "",
        "Six layers of 192, from random weights and tiled from the first stage's model (four layers of 128); the same text in",
        "the same order.",
        "",
        "| tokens | random start | tiled start |",
        "|---:|---:|---:|",
        *(
            f"| {a['tokens']:,} | {mean_loss(a):.3f} | {mean_loss(b):.3f} |"
            for a, b in zip(read_metrics(wide, "evaluation"), read_metrics(tiled, "evaluation"), strict=True)
        ),
        "",
        "![tiled and random start](stages-tiled.png)",
        "",
        "Written by `python benchmarks/stages.py DATA.yaml`.",
        "",
    ]
    return "\n".join(lines)


def _near_and_far(score: Score) -> str:
    near, far = (_mean(score, is_far=is_far) for is_far in (False, True))
    return ", ".join("none" if loss is None else f"{loss:.3f}" for loss in (near, far))


def _mean(score: Score, *, is_far: bool, place: int = 1024) -> float | None:
    """Over the classes of positions from there on, or before."""
    losses = [loss for edge, loss in score.by_position.items() if (int(edge) >= place) is is_far]
    return sum(losses) / len(losses) if losses else None


def _told(scores: Mapping[str, Mapping[str, Score]]) -> str:
    """How far the second stage moved each side: more training moves both, length only the far one."""
    (first, before), (second, after), *_ = scores.items()
    falls = []
    for is_far in (False, True):
        pairs = [(_mean(before[name], is_far=is_far), _mean(after[name], is_far=is_far)) for name in before]
        found = [a - b for a, b in pairs if a is not None and b is not None]
        falls.append(f"{sum(found) / len(found):.3f}" if found else "nothing to be seen")
    return (
        f"From {first} to {second} the loss fell by {falls[0]} before position 1,024 and by {falls[1]} beyond it, on average. More"
        "\ntraining moves both; what the far side gains over the near one is the longer documents' doing."
    )


def pictures(scores: Mapping[str, Mapping[str, Score]], stages: Path, wide: Path, tiled: Path, docs: Path) -> None:
    from matplotlib.figure import Figure

    from modernbert.train.curves import draw

    with write_atomically(docs / "stages-run.png") as file:
        file.write(draw(stages, dpi=60).read_bytes())
    sources = list(next(iter(scores.values())))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, source in zip(figure.subplots(1, len(sources), squeeze=False)[0], sources, strict=True):
        for stage, found in scores.items():
            places = [max(32, int(edge)) for edge in found[source].by_position]
            axis.plot(places, list(found[source].by_position.values()), "o-", markersize=3, label=f"after {stage}")
        axis.axvline(1024, color="#999999", linestyle=":")
        axis.set_xscale("log", base=2)
        axis.set_title(source)
        axis.grid(alpha=0.25)
    figure.axes[0].set_ylabel("nats a masked token")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.supxlabel("position from here on; dotted: the first stage's longest document", fontsize=9)
    _save(figure, docs / "stages-positions.png")
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    for label, run in [("random start", wide), ("tiled start", tiled)]:
        lines = read_metrics(run, "evaluation")
        axis.plot(
            [line["tokens"] / 1e6 for line in lines],
            [mean_loss(line) for line in lines],
            "o-",
            markersize=3,
            label=label,
        )
    axis.set_xlabel("million tokens read by the larger model")
    axis.set_ylabel("held-out loss")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    _save(figure, docs / "stages-tiled.png")


def _save(figure: object, path: Path) -> None:
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=80)  # pyright: ignore[reportAttributeAccessIssue]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a recipe's `data` section: sources and held_out")
    parser.add_argument("--out", type=Path, default=Path("runs/stages"))
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--docs", type=Path, default=DOCS)
    chosen = parser.parse_args(words)
    stages, wide, tiled = (chosen.out / name for name in ("three-stages", "wide", "wide-tiled"))
    if not chosen.report:
        train("three-stages", stages, chosen.data)
        train("wide", wide, chosen.data)
        train("wide", tiled, chosen.data, "start.kind=grow", f"start.path={stage_ends(stages)[0]}")
    scores = by_stage(stages)
    pictures(scores, stages, wide, tiled, chosen.docs)
    with write_atomically(chosen.docs / "stages.md", "w") as file:
        file.write(page(scores, stages, wide, tiled))
    return 0


if __name__ == "__main__":
    as_script(main)
