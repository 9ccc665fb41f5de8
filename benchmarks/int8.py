"""What int8 costs on tasks: the packaged model's heads as graphs, in float32, in int8, and in int8 with scales found before.

    python benchmarks/int8.py TASKS SCIFACT              # writes docs/benchmarks-int8.md; some 5 minutes
    python benchmarks/int8.py TASKS SCIFACT --rows 50 --no-write

TASKS is a folder with `sst2/validation.jsonl*` (sentence, label 0 or 1) and `stsb/validation.jsonl*` (sentence1, sentence2, score);
SCIFACT is a folder in BEIR's layout. Scales are found on docstrings of Python's standard library, which no task here is made of.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from modernbert.bench.machine import examine
from modernbert.core.script import as_script
from modernbert.data.records import Record, read_records
from modernbert.demo.corpus import docstrings, standard_library
from modernbert.export.check import MOST_LOST
from modernbert.export.graph import Precision
from modernbert.export.write import export
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.evaluation.collection import Collection, read_collection
from modernbert.retrieval.evaluation.contenders import Contender, rankers
from modernbert.retrieval.evaluation.evaluate import evaluate
from modernbert.retrieval.evaluation.rankers import Bm25
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.ranks import spearman

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-int8.md"

MODEL, FLOAT32, INT8, CALIBRATED = "the model", "graph, float32", "graph, int8", "graph, int8, calibrated"
WAYS: Mapping[str, tuple[Precision, bool]] = {
    FLOAT32: ("float32", False),
    INT8: ("int8", False),
    CALIBRATED: ("int8", True),
}


def main(words: Sequence[str] | None = None) -> None:
    """Export, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("scifact", type=Path)
    parser.add_argument("--rows", type=int, help="of each task, at most")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-int8.md as it is")
    options = parser.parse_args(words)
    load_before = os.getloadavg()[0]
    moods = _rows(options.tasks / "sst2", options.rows)
    pairs = _rows(options.tasks / "stsb", options.rows)
    collection = read_collection(options.scifact)
    measures: dict[str, tuple[str, int, Callable[[str], float]]] = {
        "SST-2, accuracy": ("nano:sentiment", len(moods), partial(_sentiment, moods)),
        "STS-B, Spearman": ("nano:embedding", len(pairs), partial(_alike, pairs)),
        "SciFact, nDCG@10": ("nano:embedding", len(collection.queries), partial(_found, collection)),
    }
    with TemporaryDirectory() as home:
        folders = {name: _folders(name, Path(home)) for name in {name for name, *_ in measures.values()}}
        scores = {
            task: {way: 100 * score(source) for way, source in folders[name].items()}
            for task, (name, _, score) in measures.items()
        }
    lines = _table(scores, {task: number for task, (_, number, _) in measures.items()})
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(lines, examine().line(load_before)), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def _rows(folder: Path, most: int | None) -> list[Record]:
    (path,) = folder.glob("validation.jsonl*")
    return list(read_records(str(path)))[:most]


def _folders(name: str, home: Path) -> dict[str, str]:
    """The model by name, and its exports. None is refused here: what it costs is what is measured."""
    texts = docstrings(standard_library()[::25])
    found = {MODEL: name}
    for way, (precision, is_calibrated) in WAYS.items():
        out = home / name.replace(":", "-") / way.replace(", ", "-").replace(" ", "-")
        export(
            name, out, backend="onnxruntime", precision=precision, head=None, texts=texts[::2], most_lost=100.0,
            calibrate_on=texts[1::2] if is_calibrated else None,
        )  # fmt: skip
        found[way] = str(out)
    return found


def _sentiment(rows: Sequence[Record], source: str) -> float:
    labels = ("negative", "positive")
    found = TextClassifier.from_pretrained(source).predict([str(row.values["sentence"]) for row in rows])
    right = [each.label == labels[int(str(row.values["label"]))] for each, row in zip(found, rows, strict=True)]
    return float(np.mean(right))


def _alike(rows: Sequence[Record], source: str) -> float:
    embedder = Embedder.from_pretrained(source)
    one, other = (
        embedder.encode([str(row.values[key]) for row in rows], normalize_embeddings=True)
        for key in ("sentence1", "sentence2")
    )
    return spearman((one * other).sum(1), np.array([float(str(row.values["score"])) for row in rows]))


def _found(collection: Collection, source: str) -> float:
    wanted = rankers([Contender(kind="dense", model=source)], words=Bm25())
    with TemporaryDirectory() as home:
        (result,) = evaluate([collection], wanted, Path(home))
    return result.means()["nDCG@10"]


def _table(scores: Mapping[str, Mapping[str, float]], numbers: Mapping[str, int]) -> list[str]:
    ways = [MODEL, *WAYS]
    lines = [f"| | cases | {' | '.join(ways)} |", f"|---|---:|{'---:|' * len(ways)}"]
    for task, found in scores.items():
        cells = []
        for way in ways:
            won = round(found[way] - found[MODEL], 9) + 0.0
            said = "" if way == MODEL else f" ({won:+.2f}{', refused' if won < -MOST_LOST else ''})"
            cells.append(f"{found[way]:.2f}{said}")
        lines.append(f"| {task} | {numbers[task]:,} | {' | '.join(cells)} |")
    return lines


def _page(lines: list[str], machine: str) -> str:
    return "\n".join([
        "# Benchmarks: int8 on tasks",
        "",
        "*Written by `python benchmarks/int8.py TASKS SCIFACT`; no number here is typed by hand.*",
        "",
        "The packaged model's heads, exported for ONNX Runtime: points of 100, and in brackets what the export changed. int8 rounds "
        "activations by one scale a batch, calibrated by scales that were found before on docstrings; more than "
        f"{MOST_LOST} points lost on a task is refused by `modernbert export --task`.",
        "",
        machine,
        "",
        *lines,
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
