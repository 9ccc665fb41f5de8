"""Code search over Python's standard library: a docstring is asked, the function it was taken out of is the answer.

    python benchmarks/code_search.py                              # writes docs/benchmarks-code-search.md
    python benchmarks/code_search.py --models nano runs/late --queries 500 --no-write

Docstrings are removed from what is indexed, from modules and classes, too; the first paragraph of each function's is a
question, those that several functions share are left out. What is measured is the product: `modernbert index --code` of a
folder, `modernbert search` one question at a time. A chunk is right when it holds the function's `def`, or lies within it.
"""

import argparse
import ast
import json
import os
import random
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from modernbert.bench.machine import Machine, examine
from modernbert.core.files import write_atomically
from modernbert.core.log import progress, say
from modernbert.core.packaged import DEFAULT
from modernbert.core.script import as_script
from modernbert.demo.corpus import standard_library
from modernbert.retrieval.index.search import Mode
from modernbert.retrieval.search.found import Found
from modernbert.retrieval.searcher import Searcher

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "benchmarks-code-search.md", ROOT / "benchmarks" / "code_search" / "results.json"
TOP = 100
FEWEST_WORDS, FEWEST_LINES = 3, 3
"""Of a question, and of a function without its docstring: less says nothing."""
PACKAGES = ("modernbert", "torch", "qdrant-edge-py", "numpy")
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a docstring says, and where its function is."""

    text: str
    path: str
    """Below the folder that is indexed."""
    first_line: int
    """Of the function in the file without docstrings, from 1: its `def`."""
    last_line: int

    def is_answered_by(self, found: Found, folder: Path) -> bool:
        """Whether a chunk is the function, a part of it, or what it stands in."""
        if Path(found.path) != folder / self.path:
            return False
        holds = found.first_line <= self.first_line <= found.last_line
        return holds or self.first_line <= found.first_line <= self.last_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How well and how fast one way of searching finds."""

    model: str
    mode: str
    mrr: float
    """Of the first hundred chunks."""
    recall: dict[int, float]
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What an index took."""

    model: str
    files: int
    chunks: int
    seconds: float
    update_s: float
    """One file changed: noticed among all, cut, encoded, written, searchable."""


def main(words: Sequence[str] | None = None) -> None:
    """Index with each model, ask everything, draw up the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[DEFAULT])
    parser.add_argument("--queries", type=int, help="so many drawn by chance; absent: all")
    parser.add_argument("--files", type=int, help="the first so many files; absent: all")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-code-search.md as it is")
    options = parser.parse_args(words)
    load_before = os.getloadavg()[0]
    rows, built = [], []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home).resolve() / "library"
        questions = write_library(folder, options.files)
        asked = questions
        if options.queries is not None:
            asked = random.Random(17).sample(questions, min(options.queries, len(questions)))
        for model in options.models:
            modes: tuple[Mode, ...] = ("dense", "hybrid") if rows else ("lexical", "dense", "hybrid")
            with Searcher.open(Path(home) / f"index-{len(built)}", model=model) as searcher:
                built.append(build(searcher, folder, model))
                rows += [ask(searcher, asked, folder, model, mode) for mode in modes]
    machine = examine(PACKAGES)
    record = {
        "date": date.today().isoformat(),
        "machine": machine.as_dict(),
        "load_before": load_before,
        "questions": len(asked),
        "functions": len(questions),
        "built": [asdict(one) for one in built],
        "rows": [asdict(row) for row in rows],
    }
    print("\n".join(tables(built, rows)))
    if not options.no_write:
        RESULTS.parent.mkdir(exist_ok=True)
        with write_atomically(RESULTS, "w") as file:
            json.dump(record, file, indent=1)
            file.write("\n")
        PAGE.write_text(_page(record, machine, built, rows), encoding="utf-8")


def write_library(folder: Path, most: int | None = None) -> list[Question]:
    """The standard library's files without docstrings, and the questions that they held."""
    questions: list[Question] = []
    for document in standard_library()[:most]:
        parsed = without_docstrings(document.text)
        if parsed is None:
            continue
        text, docstrings = parsed
        path = folder / document.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for told, node in zip(docstrings, _definitions(ast.parse(text)), strict=True):
            last = node.end_lineno or node.lineno
            if len(told.split()) >= FEWEST_WORDS and last - node.lineno + 1 >= FEWEST_LINES:
                questions.append(Question(text=told, path=document.name, first_line=node.lineno, last_line=last))
    told = Counter(question.text for question in questions)
    return [question for question in questions if told[question.text] == 1]


def without_docstrings(text: str) -> tuple[str, list[str]] | None:
    """The file without its docstrings, and of each function, in ast's order, the first paragraph ("" where none); None: no Python."""
    with warnings.catch_warnings(action="ignore"):  # of the file's own syntax
        try:
            tree = ast.parse(text)
        except SyntaxError:
            return None
    docstrings = [" ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split()) for node in _definitions(tree)]
    lines: list[str | None] = list(text.split("\n"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | Definition) or ast.get_docstring(node) is None:
            continue
        first = node.body[0]
        start, end = first.lineno - 1, first.end_lineno or first.lineno
        if not isinstance(node, ast.Module) and first.lineno == node.lineno:
            continue  # all on one line
        before = text.split("\n")[start][: first.col_offset]
        lines[start:end] = [f"{before}pass" if len(node.body) == 1 else None] + [None] * (end - start - 1)
    stripped = "\n".join(line for line in lines if line is not None)
    try:
        num_left = sum(1 for _ in _definitions(ast.parse(stripped)))
    except SyntaxError:  # something else stood on the docstring's line
        return None
    return (stripped, docstrings) if num_left == len(docstrings) else None


def build(searcher: Searcher, folder: Path, model: str) -> Built:
    """Index the folder; then change one file of usual length, and bring the index up to date."""
    done = searcher.refresh([folder], code=True, show_progress=True)
    by_length = sorted(folder.rglob("*.py"), key=lambda path: path.stat().st_size)
    usual = by_length[len(by_length) // 2]
    text = usual.read_text(encoding="utf-8")
    usual.write_text(f"{text}\n\ndef brand_new(value):\n    return value + 1\n", encoding="utf-8")
    update_s = searcher.refresh().seconds
    usual.write_text(text, encoding="utf-8")
    searcher.refresh()
    return Built(model=model, files=done.num_files, chunks=len(searcher), seconds=done.seconds, update_s=update_s)


def ask(searcher: Searcher, questions: Sequence[Question], folder: Path, model: str, mode: Mode) -> Row:
    """Ask everything, one question at a time."""
    searcher.search("warm up", mode=mode)
    ranks: list[int | None] = []
    seconds: list[float] = []
    with progress("speed") as bar:
        task = bar.add_task(f"{mode}, {model}", total=len(questions), speed="")
        for question in questions:
            began = time.perf_counter()
            found = searcher.search(_plain(question.text), top_k=TOP, mode=mode)
            seconds.append(time.perf_counter() - began)
            right = (rank for rank, one in enumerate(found, start=1) if question.is_answered_by(one, folder))
            ranks.append(next(right, None))
            bar.update(task, advance=1)
    row = Row(
        model=model,
        mode=mode,
        mrr=statistics.mean(1 / rank if rank else 0.0 for rank in ranks),
        recall={k: statistics.mean(rank is not None and rank <= k for rank in ranks) for k in (1, 10, 100)},
        p50_ms=1000 * statistics.median(seconds),
        p95_ms=1000 * sorted(seconds)[int(0.95 * len(seconds))],
    )
    say(f"{mode}, {model}: MRR {row.mrr:.3f}")
    return row


def tables(built: Sequence[Built], rows: Sequence[Row]) -> list[str]:
    """Quality and latency, then what the index took; Markdown."""
    lines = ["| | MRR | found in 1 | in 10 | in 100 | p50 ms | p95 ms |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        name = "words (BM25)" if row.mode == "lexical" else f"{row.mode}, {row.model}"
        recall = " | ".join(f"{value:.3f}" for value in row.recall.values())
        lines.append(f"| {name} | {row.mrr:.3f} | {recall} | {row.p50_ms:.1f} | {row.p95_ms:.1f} |")
    lines += ["", "| model | files | chunks | seconds | chunks/s | one file changed, s |", "|---|---|---|---|---|---|"]
    for one in built:
        lines.append(
            f"| {one.model} | {one.files:,} | {one.chunks:,} | {one.seconds:.1f} | {one.chunks / one.seconds:,.0f} | {one.update_s:.2f} |"
        )
    return lines


def _definitions(tree: ast.AST) -> Iterator[Definition]:
    return (node for node in ast.walk(tree) if isinstance(node, Definition))


def _plain(text: str) -> str:
    """Without the signs that make literals and patterns of words."""
    return " ".join(text.replace('"', " ").replace("/", " ").split()) or text


def _page(record: dict[str, Any], machine: Machine, built: Sequence[Built], rows: Sequence[Row]) -> str:
    lines = [
        "# Code search, measured",
        "",
        "*Written by `python benchmarks/code_search.py`; no number here is typed by hand.*",
        "",
        f"{record['questions']:,} of {record['functions']:,} functions of Python's standard library, each asked for by its docstring, which "
        "the index has not read. Files are cut by grammar, a search answers with chunks; latency is of a whole search, encoding the "
        f"question and reading {TOP} chunks included, one at a time.",
        "",
        machine.line(record["load_before"]),
        "",
        *tables(built, rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    as_script(main)
