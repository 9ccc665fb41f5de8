"""`modernbert export` as people type it, and its benchmark at a small size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modernbert.model.heads import SequenceClassifier
from support.retrieval import write_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[2]


def _modernbert(*words, text=None):
    command = [sys.executable, "-m", "modernbert.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, input=text)


def test_a_classifier_goes_out_and_classifies(tmp_path):
    write_model(tmp_path / "model", SequenceClassifier, labels=("bad", "good"), max_position_embeddings=200)
    made = _modernbert("export", "onnx", tmp_path / "model", tmp_path / "onnx", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["manifest"]["worst_difference"] < 1e-4
    answers = [
        _modernbert("classify", "fog from the north", "--model", tmp_path / name, "--json")
        for name in ("model", "onnx")
    ]
    assert [each.returncode for each in answers] == [0, 0], answers[1].stderr
    one, other = (json.loads(each.stdout) for each in answers)
    assert other["score"] == pytest.approx(one["score"], abs=1e-2)
    again = _modernbert("export", "onnx", tmp_path / "model", tmp_path / "onnx")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1
    assert "is there already" in again.stderr


def test_the_benchmark_runs():
    page = ROOT / "docs" / "benchmarks-export.md"
    before = page.read_bytes() if page.exists() else None
    words = ["--size", "tiny", "--rounds", "3", "--no-write", "--heads", "embedding", "--backends", "onnxruntime"]
    words += ["--precisions", "bfloat16", "--lengths", "1", "65", "--workloads", "2x70"]
    done = subprocess.run([sys.executable, "benchmarks/export.py", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in done.stdout.splitlines()]
    assert ["embedding", "onnxruntime", "bfloat16"] in rows
    assert rows[-1][0] == "2x70"
    assert (page.read_bytes() if page.exists() else None) == before
