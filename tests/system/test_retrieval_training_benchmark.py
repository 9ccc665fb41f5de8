"""The benchmark of retrieval training on a small model: losses are compared before anything is measured."""

import sys
from pathlib import Path

import pytest

from support.pairs import small_pairs, write_rows
from support.retrieval import write_model

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.fixture
def words(tmp_path):
    model = write_model(tmp_path / "model")
    rows = write_rows(tmp_path / "pairs.jsonl", small_pairs(12))
    return [
        rows,
        "--model",
        str(model),
        "--rows",
        "12",
        "--batch",
        "4",
        "--longest",
        "48",
        "--rounds",
        "1",
        "--no-write",
    ]


def test_each_kind_is_measured_side_by_side(words, capsys):
    import retrieval_training

    retrieval_training.main(words)
    said = capsys.readouterr()
    lines = [line for line in said.out.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(retrieval_training.CONTENDERS)
    assert lines[3].count("x |") == 3
    assert said.err.count("first losses equal within") == 3


def test_losses_that_differ_stop_the_benchmark(words, monkeypatch):
    import retrieval_training

    real = retrieval_training._first_loss
    monkeypatch.setattr(
        retrieval_training,
        "_first_loss",
        lambda who, *rest: real(who, *rest) + (0.1 if who == retrieval_training.STOCK else 0),
    )
    with pytest.raises(SystemExit, match=r"dense: first losses are .* nothing was measured"):
        retrieval_training.main([*words, "--kinds", "dense"])
