"""Everything that made the packaged model nano, from text to the signed folder; what is there already is not made again.

    python models/nano/make.py CORPUS --task-data TASKS --out runs/nano

CORPUS holds wiki-*.jsonl.xz, arxiv-*, novels-*, wikinews-*, python-* and heldout-SOURCE.jsonl.xz of each; TASKS is a folder with
`tasks` and `retrieval` below it, as the scripts of this folder say. It takes most of a day on two cores. Run from the root.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.train.journal import read_metrics

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "src" / "modernbert" / "models" / "nano"
SOURCES = ("wiki", "arxiv", "novels", "wikinews", "python")
RUNS = ("seed", "nano", "further")
"""Each begins where the one before it ended."""
MEAN = RUNS[-2:]
"""Runs whose last weights are averaged into the packaged ones."""
BEFORE = "nano before further"
"""Took as long as the plain baseline may, which is what it is compared with."""
VOCABULARY = 16_384
UNUSED = 64
TOKENIZER_BYTES = 60_000_000
OPEN_TEXT = {"sentiment": ("wikinews", "novels", "wiki"), "entities": ("wikinews", "wiki")}
"""What the rows of a head are drawn from, that a teacher labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command and what it leaves behind."""

    made: Path
    words: tuple[object, ...]
    """Of `modernbert`, or of Python where the first is a script."""


def main() -> None:
    """One step after the other."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("corpus", type=Path)
    words.add_argument("--task-data", type=Path, help="absent: the model is made, and not judged on tasks")
    words.add_argument("--out", type=Path, default=Path("runs/nano"), help="the recipes name runs/nano")
    words.add_argument("--until", help="last step, by what it makes")
    given = words.parse_args()
    carry_out(steps(given.corpus, given.task_data, given.out), until=given.until)


def carry_out(planned: Iterable[Step], *, until: str | None = None) -> None:
    """What is not there yet is made, up to the step that makes a file or folder called `until`."""
    for step in planned:
        if not step.made.exists():
            say(f"making {step.made}")
            first, *rest = map(str, step.words)
            run = [first, *rest] if first.endswith(".py") else ["-m", "modernbert.cli.main", first, *rest]
            subprocess.run([sys.executable, *run], check=True)
        if until == step.made.name:
            return


def steps(corpus: Path, task_data: Path | None, out: Path) -> Iterator[Step]:
    """All of them, in order; a step may look at what those before it have made."""
    yield from pretraining(corpus, out)
    yield from packaging(corpus, out)
    if task_data:
        yield from heads(corpus, task_data / "tasks", out / "heads")
        yield from judging(task_data, out)


def pretraining(corpus: Path, out: Path) -> Iterator[Step]:
    """Tokenizer, shards, the small model, the larger one, that one again for longer, and the mean."""
    tokenizer = out / "tokenizer"
    sizes = ("--vocab-size", VOCABULARY, "--num-unused", UNUSED, "--most-bytes", TOKENIZER_BYTES)
    yield Step(made=tokenizer, words=("tokenizer", "train", *texts(corpus).values(), "--out", tokenizer, *sizes))
    yield from shards_of(corpus, tokenizer, out)
    for name in RUNS:
        yield Step(made=out / name / "model", words=("pretrain", HERE / f"{name}.yaml", HERE / "mixture.yaml"))
    ends = (out / name / "model" for name in MEAN)
    yield Step(made=out / "mean", words=("model", "average", *ends, "--out", out / "mean"))


def texts(corpus: Path) -> dict[str, str]:
    """The files of each source that is trained on."""
    return {name: str(corpus / f"{name}-0*.jsonl.xz") for name in SOURCES}


def shards_of(corpus: Path, tokenizer: Path, out: Path) -> Iterator[Step]:
    """Token shards of every source, below OUT/shards and OUT/held-out."""
    for name, text in texts(corpus).items():
        made = out / "shards" / name
        words = ("data", "tokenize", text, "--tokenizer", tokenizer, "--out", made, "--near-duplicates", 0.8)
        yield Step(made=made, words=words)
    for name in SOURCES:
        made = out / "held-out" / name
        held_out = corpus / f"heldout-{name}.jsonl.xz"
        yield Step(made=made, words=("data", "tokenize", held_out, "--tokenizer", tokenizer, "--out", made))


def packaging(corpus: Path, out: Path) -> Iterator[Step]:
    """The trunk, and the heads that read words alone."""
    pairs, embedding, late = out / "pairs.jsonl", out / "embedding", out / "late"
    packages = out / "packages"
    trunk = (HERE / "package.py", "trunk", out / "mean", "--out", PACKAGE)
    head = (HERE / "package.py", "head", embedding, "--name", "embedding", "--out", PACKAGE)
    put_late = (HERE / "package.py", "head", late, "--name", "late", "--out", PACKAGE)
    yield Step(made=PACKAGE / "model.safetensors", words=trunk)
    yield Step(made=packages, words=(HERE / "packages.py", "--out", packages))
    yield Step(made=pairs, words=(HERE / "pairs.py", corpus, packages, "--out", pairs))
    yield Step(made=embedding, words=(HERE / "words.py", pairs, "--tokenizer", out / "tokenizer", "--out", embedding))
    yield Step(made=PACKAGE / "heads" / "embedding" / "model.safetensors", words=head)
    yield Step(made=late, words=(HERE / "late.py", pairs, "--out", late))
    yield Step(made=PACKAGE / "heads" / "late" / "model.safetensors", words=put_late)


def heads(corpus: Path, tasks: Path, out: Path) -> Iterator[Step]:
    """Heads that begin as the packaged trunk: they learn from what a teacher of the task's data says of open text."""
    teacher = out / "entities-teacher"
    rate = ("--learning-rate", 1e-3, "--num-train-epochs", 4)
    words = ("finetune", "--task", "token_cls", "--dataset", tasks / "conll2003", "--out", teacher, *rate)
    yield Step(made=teacher / "model", words=words)
    teachers = {"sentiment": tasks, "entities": teacher / "model"}
    for name, sources in OPEN_TEXT.items():
        rows, run = out / name, out / f"{name}-run"
        text = [str(corpus / f"{source}-00000.jsonl.xz") for source in sources]
        yield Step(made=rows, words=(HERE / "distil.py", name, teachers[name], *text, "--out", rows))
        yield Step(made=run / "model", words=("finetune", HERE / f"{name}.yaml", "--dataset", rows, "--out", run))
    doubled = out / "sentiment-model"
    words = (HERE / "two_sided.py", out / "sentiment-run" / "model", "--out", doubled)
    yield Step(made=doubled, words=words)
    for name, model in (("sentiment", doubled), ("entities", out / "entities-run" / "model")):
        put = (HERE / "package.py", "head", model, "--name", name, "--out", PACKAGE)
        yield Step(made=PACKAGE / "heads" / name / "model.safetensors", words=put)


def judging(task_data: Path, out: Path) -> Iterator[Step]:
    """What nano is compared with, how well each does, and the card that says it."""
    judged, plain = out / "judged", out / "plain"
    minutes = sum(read_metrics(out / name, "step")[-1]["seconds"] for name in RUNS[:-1]) / 60
    yield Step(made=plain, words=(HERE / "plain.py", out / "shards", "--minutes", minutes, "--out", plain))
    before = f"{BEFORE}={out / 'nano' / 'model'}"
    models = (f"nano={PACKAGE}", before, f"stage 1={last_of(out / 'nano', 'pretrain')}", f"plain={plain}")
    texts = (out / "held-out", "--shards", out / "shards", "--models", *models)
    vectors = ("--models", "embedding=nano:embedding", "late=nano:late", f"trunk={PACKAGE}")
    scripts: dict[str, tuple[object, ...]] = {
        "held_out": texts,
        "far_clues": texts,
        "blanks": (),
        "downstream": (task_data / "tasks",),
        "heads": (task_data / "tasks",),
        "retrieval": (task_data / "retrieval" / "scifact", *vectors),
    }
    for name, words in scripts.items():
        made = judged / f"{name}.json"
        yield Step(made=made, words=(HERE / f"{name}.py", *words, "--out", made))
    yield Step(made=PACKAGE / "README.md", words=(HERE / "card.py", judged, "--runs", out, "--out", PACKAGE))


def last_of(run: Path, stage: str) -> Path:
    """The model at the end of a stage."""
    published = sorted((run / "published").iterdir())
    return [path for path in published if json.loads((path / "training.json").read_text())["stage"] == stage][-1]


if __name__ == "__main__":
    as_script(main)
