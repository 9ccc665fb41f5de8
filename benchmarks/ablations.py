"""The paper's choices on a small budget: one short run a choice, all on the same text, and a page with what came out.

    python benchmarks/ablations.py DATA.yaml            runs what is missing, two at a time, and writes docs/ablations.md
    python benchmarks/ablations.py DATA.yaml --report   writes the page from the runs that are there

DATA.yaml names token shards: `data: {sources: {wiki: {path: ...}}, held_out: {wiki: ...}}`. A choice is a file in
benchmarks/ablations, laid over base.yaml; `--folder` takes the files of another folder, such as models/nano/ablations.
A choice may bring a vocabulary of its own, with shards in it: its losses are told per as many bytes as a token of the base spells.
`--probe TASK` asks each model for more than its loss: TASK holds train.jsonl and test.jsonl (or .jsonl.xz) with text and label, and a
linear model over the mean of the last layer, nothing of it trained, has to tell the labels.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from modernbert.core.config import read
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.quantities import Tokens
from modernbert.core.script import as_script
from modernbert.data.records import read_records
from modernbert.data.shards import Shards
from modernbert.retrieval.embedder import Embedder
from modernbert.train.config import Recipe
from modernbert.train.journal import read_metrics

FOLDER = Path(__file__).parent / "ablations"
DOCS = Path(__file__).resolve().parents[1] / "docs"
NOISE = "other-seed"
PROBE = "probe.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run."""

    name: str
    folder: Path
    evaluations: list[dict[str, Any]]
    token_scale: dict[str, float]
    """By source: bytes that a token of the base spells, over those of a token here; 1 where the vocabulary is the base's."""

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        return sources_of(self.evaluations[-1])

    @property
    def losses(self) -> list[float]:
        """Held-out loss at each evaluation, every source alike: nats a hidden token of the base."""
        return [mean_loss(line, self.token_scale) for line in self.evaluations]

    @property
    def loss(self) -> float:
        """Held-out loss at the end."""
        return self.losses[-1]

    @property
    def has_own_vocabulary(self) -> bool:
        return any(not math.isclose(scale, 1) for scale in self.token_scale.values())

    @property
    def accuracy(self) -> float:
        return sum(score["accuracy"] for score in self.scores.values()) / len(self.scores)

    @property
    def probe(self) -> float | None:
        """Accuracy of the linear model, where it was asked for."""
        path = self.folder / PROBE
        return json.loads(path.read_text())["accuracy"] if path.exists() else None


def sources_of(line: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {name: value for name, value in line.items() if isinstance(value, dict)}


def mean_loss(line: dict[str, Any], scale: Mapping[str, float] | None = None) -> float:
    """Every source alike; `scale` as in `Run.token_scale`."""
    sources = sources_of(line)
    return sum(score["loss"] * (scale[name] if scale else 1) for name, score in sources.items()) / len(sources)


def bytes_of_a_token(held_out: Mapping[str, Path]) -> dict[str, float]:
    """What a held-out token spells on average, by source."""
    sizes = {}
    for name, path in held_out.items():
        shards = Shards.open(path)
        tokenizer = shards.tokenizer()
        # A letter of byte-level BPE is a byte.
        lengths = np.array([len(tokenizer.token(i)) for i in range(tokenizer.vocab_size)])
        counts = sum(np.bincount(shards.tokens(i), minlength=len(lengths)) for i in range(len(shards)))
        sizes[name] = float((counts * lengths).sum() / np.sum(counts))
    return sizes


def names(folder: Path = FOLDER) -> list[str]:
    return ["base", *sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "base")]


def train(name: str, data: Path, out: Path, folder: Path = FOLDER) -> None:
    """One run in a process of its own, on one core; a file of the choice's own data goes last."""
    files = [folder / "base.yaml", data, *([folder / f"{name}.yaml"] if name != "base" else [])]
    words = [sys.executable, "-m", "modernbert.cli.main", "pretrain", *map(str, files), f"run={out / name}"]
    done = subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    print(f"{name}: {'done' if done.returncode == 0 else done.stderr[-500:]}", flush=True)


def finished(out: Path, folder: Path = FOLDER) -> list[Run]:
    done = [name for name in names(folder) if (out / name / "model" / "config.json").exists()]
    held_out = {name: read(Recipe, out / name / "resolved.json").data.held_out for name in done}
    runs = []
    for name in done:
        scale = dict.fromkeys(held_out[name], 1.0)
        if held_out[name] != held_out[done[0]]:
            spelt, by_base = bytes_of_a_token(held_out[name]), bytes_of_a_token(held_out[done[0]])
            scale = {source: by_base[source] / size for source, size in spelt.items()}
        evaluations = read_metrics(out / name, "evaluation")
        runs.append(Run(name=name, folder=out / name, evaluations=evaluations, token_scale=scale))
    return runs


def probe(run: Run, task: Path) -> None:
    """What a linear model reads from the frozen one, written beside it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    embedder = Embedder.from_pretrained(str(run.folder / "model"))
    (vectors, labels), (asked, right) = (
        (embedder.encode([str(row["text"]) for row in rows]), [row["label"] for row in rows])
        for rows in ([row.values for row in read_records(str(task / f"{split}.jsonl*"))] for split in ("train", "test"))
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1)).fit(vectors, labels)
    with write_atomically(run.folder / PROBE, "w") as file:
        json.dump({"task": task.name, "accuracy": float(linear.score(asked, right))}, file)


def purpose(name: str, folder: Path = FOLDER) -> str:
    """The first line of the recipe's comment."""
    return (folder / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def page(runs: Sequence[Run], folder: Path = FOLDER, picture: str = "ablations.png") -> str:
    base = next(run for run in runs if run.name == "base")
    noise = next((abs(run.loss - base.loss) for run in runs if run.name == NOISE), None)
    recipe = read(Recipe, base.folder / "resolved.json")
    budget = sum(int(stage.tokens) for stage in recipe.stages.values())
    longest = max(stage.rows.length for stage in recipe.stages.values())
    probed = next((json.loads((run.folder / PROBE).read_text())["task"] for run in runs if run.probe is not None), None)
    read_from = ", ".join(recipe.data.sources)
    is_papers = folder == FOLDER
    shape = recipe.model
    size = (
        f"the `{shape}` size" if isinstance(shape, str) else f"{shape.num_hidden_layers} layers of {shape.hidden_size}"
    )
    way = Path(os.path.relpath(folder.resolve(), DOCS)).as_posix()
    lines = [
        "# The paper's choices on a small budget"
        if is_papers
        else f"# Choices for {folder.resolve().parent.name}, on a small budget",
        "",
        f"Each line is a run of {size} over {Tokens(budget)}, from {read_from}; documents of up to",
        f"{longest}. All but `{NOISE}`, and those whose purpose is another text, see the same text in the same order and are",
        f"judged on the same held-out text under the same masks ({recipe.evaluation.rate:.0%}). So little training cannot prove a",
        "choice for two trillion tokens; it shows which of them can be seen at all. Learning rates were not tuned for each.",
        "",
        f"| run | tokens | held-out loss | against base | masked tokens found |{f' {probed} |' if probed else ''}",
        f"|---|---:|---:|---:|---:|{'---:|' if probed else ''}",
        *(
            f"| [{run.name}]({way}/{run.name}.yaml) | {run.evaluations[-1]['tokens'] / 1e6:.1f}M | {run.loss:.3f} | "
            f"{'' if run is base else f'{run.loss - base.loss:+.3f}'} | {'' if run.has_own_vocabulary else f'{run.accuracy:.1%}'} |"
            + ("" if probed is None else " |" if run.probe is None else f" {run.probe:.3f} |")
            for run in sorted(runs, key=lambda run: run.loss)
        ),
        "",
    ]
    if probed:
        lines += [
            f"{probed}: accuracy of a linear model over the mean of the last layer, of which nothing was trained for it.",
            "",
        ]
    if any(run.has_own_vocabulary for run in runs):
        lines += [
            "Where the vocabulary is another, the loss is told per as many bytes as a token of the base spells, and whole tokens",
            "found are not comparable. A smaller token hides less of a word, which makes guessing it easier for that alone: there",
            "the loss favours the smaller vocabulary.",
            "",
        ]
    if noise is not None:
        lines += [
            f"Two runs of the base that differ in nothing but the seed are {noise:.3f} apart"
            f"{', mostly by when they leave the plateau' if is_papers else ''}:",
            "one run each that differs by less says little.",
            "",
        ]
    lines += [f"![held-out loss over tokens]({picture})", ""]
    lines += [
        f"- **{run.name}** ({verdict(run, base, noise)}): {purpose(run.name, folder)}"
        for run in runs
        if run is not base
    ]
    which = "" if is_papers else f" --folder {way.removeprefix('../')}"
    lines += [
        "",
        f"Written by `python benchmarks/ablations.py DATA.yaml{which}`.",
        "",
    ]
    return "\n".join(lines)


def verdict(run: Run, base: Run, noise: float | None) -> str:
    difference = run.loss - base.loss
    if run.name == NOISE:
        return "the noise"
    if noise is not None and abs(difference) <= noise:
        return "within the noise of the seed"
    return "better than base" if difference < 0 else "worse than base"


def picture(runs: Sequence[Run], path: Path) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    colours = cycle(colormaps["tab20"].colors)  # pyright: ignore[reportAttributeAccessIssue]
    for run in sorted(runs, key=lambda run: -run.loss):
        tokens = [line["tokens"] / 1e6 for line in run.evaluations]
        is_base = run.name in ("base", NOISE)
        axis.plot(
            tokens,
            run.losses,
            "o-",
            markersize=3,
            label=run.name,
            color="black" if run.name == "base" else "gray" if is_base else next(colours),
            linewidth=2 if run.name == "base" else 1,
        )
    axis.set_xlabel("million tokens read")
    axis.set_ylabel("held-out loss, nats a masked token of the base")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axis.get_legend_handles_labels(), frameon=False, loc="outside right upper", fontsize="small")
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=80)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a recipe's `data` section: sources and held_out")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the choices: base.yaml and what is laid over it")
    parser.add_argument("--only", nargs="*", help="some of the choices, by name")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, each on one core")
    parser.add_argument("--probe", type=Path, metavar="TASK", help="what a linear model is to learn from each")
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--page", type=Path, default=DOCS / "ablations.md")
    chosen = parser.parse_args(words)
    if unknown := sorted({*(chosen.only or ())} - {*names(chosen.folder)}):
        parser.error(f"--only: found {', '.join(unknown)}, expected some of {', '.join(names(chosen.folder))}")
    if not chosen.report:
        wanted = chosen.only or names(chosen.folder)
        missing = [name for name in wanted if not (chosen.out / name / "model" / "config.json").exists()]
        with ThreadPoolExecutor(chosen.jobs) as pool:
            list(pool.map(lambda name: train(name, chosen.data, chosen.out, chosen.folder), missing))
    runs = finished(chosen.out, chosen.folder)
    if not any(run.name == "base" for run in runs):
        print(f"error: {chosen.out} holds no finished run of the base: train it first", file=sys.stderr)
        return 2
    for run in runs if chosen.probe else []:
        if run.probe is None:
            say(f"{run.name}: {chosen.probe.name}")
            probe(run, chosen.probe)
    picture(runs, chosen.page.with_suffix(".png"))
    with write_atomically(chosen.page, "w") as file:
        file.write(page(runs, chosen.folder, chosen.page.with_suffix(".png").name))
    print(json.dumps({run.name: round(run.loss, 4) for run in runs}))
    return 0


if __name__ == "__main__":
    as_script(main)
