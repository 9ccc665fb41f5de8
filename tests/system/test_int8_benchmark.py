"""The benchmark of int8 on tasks, on a handful of rows, and without its exports: what it counts, and what it calls refused."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import int8

    return int8


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _data(home):
    _write(
        home / "tasks" / "sst2" / "validation.jsonl",
        [{"sentence": "a wonderful , moving film", "label": 1}, {"sentence": "dull , boring and stupid", "label": 1}],
    )
    pairs = [
        ("a dog runs", "a dog runs", 5.0),
        ("a dog runs", "stocks fell", 0.0),
        ("a bell", "a loud bell", 4.0),
    ]
    _write(
        home / "tasks" / "stsb" / "validation.jsonl",
        [{"sentence1": one, "sentence2": other, "score": score} for one, other, score in pairs],
    )
    _write(
        home / "facts" / "corpus.jsonl", [{"_id": "1", "text": "lamps"}, {"_id": "2", "text": "the fog and the bell"}]
    )
    _write(home / "facts" / "queries.jsonl", [{"_id": "q", "text": "a bell in the fog"}])
    (home / "facts" / "qrels").mkdir()
    (home / "facts" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t2\t1\n")
    return [str(home / "tasks"), str(home / "facts")]


def test_every_way_is_scored_on_every_task(benchmark, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        benchmark, "_folders", lambda name, home: dict.fromkeys([benchmark.MODEL, *benchmark.WAYS], name)
    )
    monkeypatch.setattr(benchmark, "PAGE", tmp_path / "page.md")
    benchmark.main(_data(tmp_path))
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:5]]
    assert [row[:3] for row in rows] == [
        ["SST-2, accuracy", "2", "50.00"],
        ["STS-B, Spearman", "3", "100.00"],
        ["SciFact, nDCG@10", "1", "100.00"],
    ]
    assert [row[3:] for row in rows] == [[f"{row[2]} (+0.00)"] * 3 for row in rows]
    assert "nDCG@10" in (tmp_path / "page.md").read_text()


def test_more_than_half_a_point_is_called_refused(benchmark):
    found = {"a task": dict(zip([benchmark.MODEL, *benchmark.WAYS], (80.0, 80.0, 79.5, 79.4), strict=True))}
    assert benchmark._table(found, {"a task": 9})[-1] == (
        "| a task | 9 | 80.00 | 80.00 (+0.00) | 79.50 (-0.50) | 79.40 (-0.60, refused) |"
    )
