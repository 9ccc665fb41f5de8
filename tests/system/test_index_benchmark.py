"""The index's benchmark, small: recall is of the exact scan, and both stores look at candidates alike."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from modernbert.demo.corpus import docstrings, standard_library

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.mark.parametrize("kind", ["synthetic", "passages"])
def test_the_contenders_are_measured_and_tabled(kind, tmp_path, capsys):
    import index as benchmark

    words = ["--vectors", "300", "--width", "8", "--queries", "5", "--contenders", "edge", "exact"]
    if kind == "passages":
        texts = docstrings(standard_library()[::10])[:305]
        path = tmp_path / "passages.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        words += ["--passages", str(path)]
    benchmark.main([*words, "--here", "--no-write"])
    lines = capsys.readouterr().out.splitlines()
    table = [line.split("|") for line in lines if line.startswith(("| edge", "| exact"))]
    assert [cells[7].strip() for cells in table] == ["1.000", "1.000"]


def test_both_stores_look_at_candidates_alike(capsys):
    import index as benchmark

    benchmark.main(["--maxsim", "--queries", "5", "--texts", "100", "--no-write"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith(("| 64", "| 128"))]
    assert [(int(cells[1]), int(cells[2])) for cells in rows] == list(benchmark.LATE)
    assert all(float(cell) > 0 for cells in rows for cell in cells[3:7])


def test_another_process_reads_the_material_as_it_was(tmp_path):
    import index as benchmark

    drawn = benchmark.Material(
        vectors=benchmark.vectors_of(20, 4), queries=benchmark.vectors_of(20, 4, seed=1)[:3], truth=np.arange(30).reshape(3, 10),
        texts=("a", "b"), questions=("c",),
    )  # fmt: skip
    drawn.write(tmp_path)
    read = benchmark.Material.read(tmp_path)
    for name in ("vectors", "queries", "truth"):
        np.testing.assert_array_equal(getattr(read, name), getattr(drawn, name))
    assert (read.texts, read.questions) == (drawn.texts, drawn.questions)


def test_the_truth_is_every_product_sorted():
    import index as benchmark

    vectors, queries = benchmark.vectors_of(200, 4), benchmark.vectors_of(200, 4, seed=1)[:3]
    expected = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, : benchmark.TOP]
    np.testing.assert_array_equal(benchmark.nearest(vectors, queries), expected)


def test_rows_of_an_earlier_run_are_kept_and_say_where_they_come_from():
    import index as benchmark

    def run(machine: str, *names: str, what: str = "10 vectors") -> dict:
        rows = [{"contender": name, "build_s": 1.0, "machine": None} for name in names]
        return {"what": what, "machine": machine, "command": f"on {machine}", "rows": rows}

    first = run("old", "edge", "faiss")
    assert benchmark.joined(run("new", "edge"), None) == run("new", "edge")
    assert benchmark.joined(run("new", "edge", what="20 vectors"), first) == run("new", "edge", what="20 vectors")
    second = benchmark.joined(run("new", "edge"), first)
    kept = {"contender": "faiss", "build_s": 1.0, "machine": "old", "command": "on old"}
    assert second["rows"] == [{"contender": "edge", "build_s": 1.0, "machine": None}, kept]
    assert benchmark.joined(run("newest", "edge"), second)["rows"][1] == kept
