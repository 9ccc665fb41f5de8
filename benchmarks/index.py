"""The index: build time, memory, disk, latency and recall, against FAISS and LanceDB where installed.

    python benchmarks/index.py                                  # a million vectors of 256; writes docs/benchmarks-index.md
    python benchmarks/index.py --passages FILE --vectors 100000 # its first texts, as nano:embedding sees them; on the same page
    python benchmarks/index.py --contenders edge --keep         # ours again, beside the others' rows
    python benchmarks/index.py --maxsim                         # the second look at candidates, by vectors of tokens
    python benchmarks/index.py --vectors 20000 --no-write
    pip install faiss-cpu==1.15.1 lancedb==0.40.0               # the rivals

Each contender builds and answers in a process of its own, one after another, from the same vectors of length 1: drawn around centres, or of
passages, and then the queries are the first ten words of passages that are not in the index. Recall is of the first ten against a scan of
everything in NumPy. Queries are asked one at a time. FAISS and LanceDB keep vectors and row numbers; ours keeps texts, metadata, words and a
second copy of everything in Parquet, and answers with texts.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from modernbert.bench import memory
from modernbert.bench.machine import examine
from modernbert.core.files import write_json
from modernbert.core.script import as_script
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.manifest import Settings
from modernbert.retrieval.index.record import Query, Record
from modernbert.retrieval.index.store import Store

# Shapes:  N vectors   Q queries   D width   T tokens of a text   P width of a token's vector

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "benchmarks-index.md", ROOT / "benchmarks" / "index" / "results.json"
TOP, CANDIDATES, QUERY_TOKENS = 10, 100, 32
LATE = ((64, 64), (64, 128), (128, 64), (128, 128))
"""Tokens of a candidate and numbers of a token: `nano:late` has 64, ColBERT 128."""
CONTENDERS = ("edge", "exact", "faiss", "lancedb")
PACKAGES = ("modernbert", "qdrant-edge-py", "qdrant-client", "faiss-cpu", "lancedb", "pyarrow", "numpy")
WORDS = tuple(f"word{number}" for number in range(5000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender's figures."""

    contender: str
    settings: str
    build_s: float
    """Until everything is on disk and searchable at full speed."""
    memory_mb: float
    """Added to the process at its peak, while building and asking; the input vectors are there before."""
    disk_mb: float
    p50_ms: float
    p95_ms: float
    recall: float
    filtered_p50_ms: float | None = None
    """With a condition that one in ten fits."""
    lexical_p50_ms: float | None = None
    hybrid_p50_ms: float | None = None
    update_s: float | None = None
    """Replacing 20 records, as when a file changed."""
    open_s: float | None = None
    machine: str | None = None
    """Of the run that a row was kept from."""
    command: str | None = None


def main(words: Sequence[str] | None = None) -> None:
    """Measure each in a process of its own, or the second look at candidates, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--texts", type=int, default=2000, help="with token vectors, for MaxSim")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--passages", type=Path, help="JSON lines with text; absent: synthetic vectors")
    parser.add_argument("--maxsim", action="store_true", help="only the second look at candidates")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--given", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--here", action="store_true", help="all in this process: quick to try, memory means nothing")
    parser.add_argument(
        "--keep", action="store_true", help="the rows that stand on the page of contenders that are not named"
    )
    parser.add_argument("--no-write", action="store_true", help="leave the page and the results as they are")
    options = parser.parse_args(words)
    if options.one:
        print(json.dumps(asdict(_measure(options.one, Material.read(options.given)))))
        return
    load_before = os.getloadavg()[0]
    measured = _maxsim(options) if options.maxsim else _contenders(options)
    given = sys.argv[1:] if words is None else words
    found = {
        "command": shlex.join(["python", "benchmarks/index.py", *given]),
        "machine": examine(PACKAGES).line(load_before),
        "queries": options.queries,
    } | measured  # fmt: skip
    print("\n".join(_section(found)))
    if not options.no_write:
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        section = "maxsim" if options.maxsim else "passages" if options.passages else "synthetic"
        kept[section] = joined(found, kept.get(section)) if options.keep else found
        write_json(RESULTS, kept)
        PAGE.write_text(_page(kept), encoding="utf-8")
        print(f"wrote {PAGE} and {RESULTS}", file=sys.stderr)


def _contenders(options: argparse.Namespace) -> dict[str, Any]:
    installed = [name for name in options.contenders if name in ("edge", "exact") or find_spec(name)]
    for name in sorted({*options.contenders} - {*installed}):
        print(f"{name} is not installed: left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as home:
        material = _embedded(options) if options.passages else _drawn(options)
        rows = [
            _measure(name, material) if options.here else _elsewhere(name, material, Path(home)) for name in installed
        ]
    what = (
        f"{options.vectors:,} passages as nano:embedding sees them"
        if options.passages
        else f"{options.vectors:,} synthetic vectors of {options.width} numbers, clustered, of length 1"
    )
    return {"what": what, "rows": [asdict(row) for row in rows]}


def _maxsim(options: argparse.Namespace) -> dict[str, Any]:
    rows = [
        {"tokens": tokens, "width": width} | {name: _late(name, tokens, width, options) for name in ("edge", "exact")}
        for tokens, width in LATE
    ]
    what = f"{CANDIDATES} candidates out of {options.texts:,} texts, {QUERY_TOKENS} tokens asked, their vectors looked up and compared"
    return {"what": what, "maxsim_ms": rows}


def joined(found: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
    """With the rows of an earlier run, which say where they come from; none where that measured something else."""
    if earlier is None or earlier["what"] != found["what"] or "rows" not in found:
        return found
    new = {row["contender"] for row in found["rows"]}
    origin = {"machine": earlier["machine"], "command": earlier["command"]}
    kept = [origin | _told(row) for row in earlier["rows"] if row["contender"] not in new]
    return found | {"rows": [*found["rows"], *kept]}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is indexed, what is asked, and what is right."""

    vectors: np.ndarray
    queries: np.ndarray
    truth: np.ndarray
    """Rows of the first ten of each query."""
    texts: tuple[str, ...]
    """Of the rows; none: made up."""
    questions: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """For another process."""
        np.savez(folder / "numbers.npz", vectors=self.vectors, queries=self.queries, truth=self.truth)
        (folder / "texts.json").write_text(json.dumps([self.texts, self.questions]))

    @classmethod
    def read(cls, folder: Path) -> "Material":
        """As written."""
        numbers = np.load(folder / "numbers.npz")
        texts, questions = json.loads((folder / "texts.json").read_text())
        return cls(
            vectors=numbers["vectors"], queries=numbers["queries"], truth=numbers["truth"], texts=tuple(texts),
            questions=tuple(questions),
        )  # fmt: skip

    def text(self, row: int) -> str:
        """Of a row."""
        return self.texts[row] if self.texts else _text(row)


def _drawn(options: argparse.Namespace) -> Material:
    vectors_ND = vectors_of(options.vectors, options.width)
    queries_QD = vectors_of(options.vectors, options.width, seed=1)[: options.queries].copy()
    return Material(
        vectors=vectors_ND, queries=queries_QD, truth=nearest(vectors_ND, queries_QD), texts=(),
        questions=tuple(map(_text, range(len(queries_QD)))),
    )  # fmt: skip


def _embedded(options: argparse.Namespace) -> Material:
    from modernbert.retrieval.embedder import Embedder

    with options.passages.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in islice(lines, options.vectors + options.queries)]
    if len(texts) < options.vectors + options.queries:
        sys.exit(
            f"{options.passages}: found {len(texts):,} texts, expected {options.vectors:,} and {options.queries:,} to ask"
        )
    questions = [" ".join(text.split()[:10]) for text in texts[options.vectors :]]
    model = Embedder.from_pretrained("nano:embedding", dtype="float32")
    vectors_ND = model.encode_document(texts[: options.vectors], normalize_embeddings=True)
    queries_QD = model.encode_query(questions, normalize_embeddings=True)
    return Material(
        vectors=vectors_ND, queries=queries_QD, truth=nearest(vectors_ND, queries_QD),
        texts=tuple(texts[: options.vectors]), questions=tuple(questions),
    )  # fmt: skip


def vectors_of(number: int, width: int, seed: int = 0) -> np.ndarray:
    """Of length 1, around one centre for every hundred; queries are of the same centres."""
    centres = np.random.default_rng(1).normal(size=(max(1, 10 * int(number**0.5)), width)).astype(np.float32)
    draw = np.random.default_rng([2, seed])
    found = np.empty((number, width), dtype=np.float32)
    for start in range(0, number, 100_000):
        end = min(number, start + 100_000)
        noise_ND = draw.normal(size=(end - start, width)).astype(np.float32)
        found[start:end] = centres[draw.integers(len(centres), size=end - start)] + 0.7 * noise_ND
        found[start:end] /= np.linalg.norm(found[start:end], axis=1, keepdims=True)
    return found


def nearest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Rows of the first ten, by looking at all."""
    best_scores = np.full((len(queries), TOP), -np.inf, dtype=np.float32)
    best = np.zeros((len(queries), TOP), dtype=np.int64)
    for start in range(0, len(vectors), 100_000):
        scores_QN = np.concatenate([best_scores, queries @ vectors[start : start + 100_000].T], axis=1)
        rows_QN = np.concatenate(
            [best, np.broadcast_to(np.arange(start, start + scores_QN.shape[1] - TOP), (len(queries), scores_QN.shape[1] - TOP))],
            axis=1,
        )  # fmt: skip
        order = np.argsort(-scores_QN, axis=1, kind="stable")[:, :TOP]
        best_scores, best = np.take_along_axis(scores_QN, order, 1), np.take_along_axis(rows_QN, order, 1)
    return best


def _elsewhere(name: str, material: Material, home: Path) -> Row:
    if not (home / "numbers.npz").exists():
        material.write(home)
    command = [sys.executable, __file__, "--one", name, "--given", str(home)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row = Row(**json.loads(done.stdout.splitlines()[-1]))
    print(f"{name}: built in {row.build_s:,.1f} s, p50 {row.p50_ms:.2f} ms, recall {row.recall:.3f}", file=sys.stderr)
    return row


def _measure(name: str, material: Material) -> Row:
    home = Path(tempfile.mkdtemp(prefix="index-benchmark-"))
    memory.begin("cpu")
    before = memory.in_use("cpu")
    try:
        contender = {"edge": _ours, "exact": _ours, "faiss": _faiss, "lancedb": _lancedb}[name]
        figures = contender(name, home, material)
        return Row(contender=name, memory_mb=(memory.peak("cpu") - before) / 1e6, **figures)
    finally:
        shutil.rmtree(home)


def _ours(name: str, home: Path, given: Material) -> dict[str, Any]:
    def records(start: int, end: int, sign: int = 1) -> list[Record]:
        rows = range(start, min(end, len(given.vectors)))
        return [Record(str(row), given.text(row), sign * given.vectors[row], None, {"shelf": row % 10}) for row in rows]

    settings = Settings(model="synthetic", model_hash="0", vector_size=given.vectors.shape[1])
    began = time.perf_counter()
    with Index.open(home / "i", settings, store=name) as index:
        for start in range(0, len(given.vectors), 5000):
            index.add(records(start, start + 5000))
        index.flush()
        built = time.perf_counter() - began
        asked = [Query(vector=vector, text=text) for vector, text in zip(given.queries, given.questions, strict=True)]
        found, times = _ask(lambda query: [int(hit.id) for hit in index.search(query, top_k=TOP)], asked)
        _, filtered = _ask(lambda query: index.search(query, top_k=TOP, where={"shelf": 3}), asked)
        _, lexical = _ask(lambda query: index.search(query, top_k=TOP, mode="lexical"), asked)
        _, hybrid = _ask(lambda query: index.search(query, top_k=TOP, mode="hybrid"), asked)
        began = time.perf_counter()
        index.update(records(0, 20, -1))
        updated = time.perf_counter() - began
    began = time.perf_counter()
    with Index.open(home / "i", settings, store=name) as index:
        index.search(asked[0], top_k=TOP)
        opened = time.perf_counter() - began
    return {
        **_figures(built, home, found, times, given.truth),
        "settings": "Qdrant Edge, HNSW by its defaults over int8, rescored" if name == "edge" else "NumPy, every vector compared",
        "filtered_p50_ms": _ms(filtered, 50), "lexical_p50_ms": _ms(lexical, 50), "hybrid_p50_ms": _ms(hybrid, 50),
        "update_s": updated, "open_s": opened,
    }  # fmt: skip


def _faiss(name: str, home: Path, given: Material) -> dict[str, Any]:
    import faiss

    began = time.perf_counter()
    index = faiss.IndexHNSWFlat(given.vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 100, 128
    index.add(given.vectors)
    faiss.write_index(index, str(home / "index.faiss"))
    built = time.perf_counter() - began
    found, times = _ask(lambda query: index.search(query[None], TOP)[1][0].tolist(), list(given.queries))
    return {**_figures(built, home, found, times, given.truth), "settings": "HNSW32, efConstruction 100, efSearch 128"}


def _lancedb(name: str, home: Path, given: Material) -> dict[str, Any]:
    import lancedb
    import pyarrow as pa

    began = time.perf_counter()
    column = pa.FixedSizeListArray.from_arrays(pa.array(given.vectors.reshape(-1)), given.vectors.shape[1])
    rows = pa.table({"id": np.arange(len(given.vectors)), "vector": column})
    table = lancedb.connect(str(home)).create_table("vectors", rows)
    table.create_index(metric="cosine", index_type="IVF_HNSW_SQ", vector_column_name="vector")
    built = time.perf_counter() - began

    def ask(query: np.ndarray) -> list[int]:
        wanted = (
            table.search(query)
            .distance_type("cosine")
            .nprobes(20)
            .refine_factor(5)
            .limit(TOP)
            .select(["id", "_distance"])
        )
        return wanted.to_arrow()["id"].to_pylist()

    found, times = _ask(ask, list(given.queries))
    return {**_figures(built, home, found, times, given.truth), "settings": "IVF_HNSW_SQ, 20 probes, refined 5 times"}


def _ask(ask: Callable[[Any], Any], queries: Sequence[Any]) -> tuple[list[Any], list[float]]:
    """Answers and seconds; the first tenth warms up and is asked again."""
    for query in queries[: max(1, len(queries) // 10)]:
        ask(query)
    found, times = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(ask(query))
        times.append(time.perf_counter() - began)
    return found, times


def _figures(built: float, home: Path, found: list[list[int]], times: list[float], truth: np.ndarray) -> dict[str, Any]:
    right = sum(len({*rows} & {*expected}) for rows, expected in zip(found, truth.tolist(), strict=True))
    disk = sum(path.stat().st_blocks * 512 for path in home.rglob("*") if path.is_file())  # Edge's files have holes
    return {
        "build_s": built, "disk_mb": disk / 1e6, "p50_ms": _ms(times, 50), "p95_ms": _ms(times, 95),
        "recall": right / truth.size,
    }  # fmt: skip


def _late(name: str, num_tokens: int, width: int, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of MaxSim over a hundred given texts, whose order the two stores must agree on."""
    draw = np.random.default_rng(3)
    settings = Settings(model="synthetic", model_hash="0", vector_size=4, tokens_size=width)
    home = Path(tempfile.mkdtemp(prefix="index-benchmark-"))

    def tokens(count: int) -> np.ndarray:
        made_TP = draw.normal(size=(count, width)).astype(np.float32)
        return (made_TP / np.linalg.norm(made_TP, axis=1, keepdims=True)).astype(np.float16)

    try:
        with Index.open(home / "i", settings, store=name) as index:
            for start in range(0, options.texts, 500):
                rows = range(start, min(options.texts, start + 500))
                index.add([Record(str(row), "", np.ones(4), tokens(num_tokens)) for row in rows])
            index.flush()
            store: Store = index._opened.store
            asked = [
                (tokens(QUERY_TOKENS), [str(row) for row in draw.choice(options.texts, CANDIDATES, replace=False)])
                for _ in range(options.queries)
            ]
            found, times = _ask(lambda query: store.late(*query), asked)
        assert all(len(one) == CANDIDATES for one in found)
        return {
            "p50": _ms(times, 50),
            "p95": _ms(times, 95),
            "checksum": float(np.mean([sum(one.values()) for one in found])),
        }
    finally:
        shutil.rmtree(home)


def _text(row: int) -> str:
    """Eight words, common ones often."""
    draw = np.random.default_rng([4, row])
    return " ".join(WORDS[int(len(WORDS) * share**3)] for share in draw.random(8))


def _ms(times: Sequence[float], percent: int) -> float:
    return float(np.percentile(times, percent)) * 1000


def _section(found: dict[str, Any]) -> list[str]:
    lines = [
        f"`{found['command']}`",
        "",
        f"{found['what']}; {found['queries']} queries, one at a time.",
        "",
        found["machine"],
        "",
    ]
    return [*lines, *(_late_table(found["maxsim_ms"]) if "maxsim_ms" in found else _table(found["rows"])), ""]


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| contender | build s | memory MB | disk MB | p50 ms | p95 ms | recall@10 | filtered p50 | words p50 | hybrid p50 | 20 updated s | open s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    earlier: dict[str, list[str]] = {}
    for row in (Row(**each) for each in rows):
        others = (row.filtered_p50_ms, row.lexical_p50_ms, row.hybrid_p50_ms, row.update_s, row.open_s)
        lines.append(
            f"| {row.contender}: {row.settings} | {row.build_s:,.1f} | {row.memory_mb:,.0f} | {row.disk_mb:,.0f} | {row.p50_ms:.2f} | "
            f"{row.p95_ms:.2f} | {row.recall:.3f} | "
            + " | ".join("" if one is None else f"{one:.2f}" for one in others)
            + " |"
        )
        if row.machine:
            earlier.setdefault(f"`{row.command}`, {row.machine}", []).append(row.contender)
    return lines + [line for origin, names in earlier.items() for line in ("", f"{' and '.join(names)}: {origin}")]


def _late_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| tokens of a candidate | numbers of a token | edge p50 ms | p95 | exact p50 ms | p95 |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [f"{row[name][figure]:.2f}" for name in ("edge", "exact") for figure in ("p50", "p95")]
        lines.append(f"| {row['tokens']} | {row['width']} | {' | '.join(cells)} |")
    return lines


def _page(kept: dict[str, Any]) -> str:
    lines = [
        "# The index, measured",
        "",
        "*Written by `benchmarks/index.py`; no number here is typed by hand.*",
        "",
        "Memory is what a process of its own adds at its peak, the vectors being there before; ours keeps texts, words, metadata and Parquet besides.",
        "",
    ]
    titles = {"passages": "Passages", "synthetic": "Synthetic vectors", "maxsim": "MaxSim"}
    for name, title in titles.items():
        if name in kept:
            lines += [f"## {title}", "", *_section(kept[name])]
    return "\n".join(lines)


if __name__ == "__main__":
    as_script(main)
