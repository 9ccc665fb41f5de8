"""`modernbert bench` as a user types it: a small study from plan to report, and what a wrong use prints."""

import json
import re

import pytest

from modernbert.bench.backends import BACKENDS
from modernbert.bench.plan import Settings
from modernbert.cli.bench import Bench
from modernbert.cli.main import main
from support.demonstration import modernbert

QUICK = ("--rounds", "2", "--most-seconds", "0.1", "--budget", "1GB")


def test_a_small_study_from_plan_to_report(tmp_path):
    what = ("--models", "modernbert", "--sizes", "tiny", "--workloads", "variable-512", "--documents", "3")
    words = ("bench", *what, "--backends", "ours-fp32", "stock-fp32", "--out", "out", *QUICK)
    done = modernbert(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    for title in (
        "Ours against each of the others",
        "variable-512, in detail",
        "ModernBERT-tiny",
        "wrote out/report.html",
    ):
        assert title in text
    assert b"measuring" in done.stderr
    figures = json.loads((tmp_path / "out" / "study.json").read_text())["cells"][0]["figures"]
    assert figures.keys() == {"ours-fp32, packed", "stock-fp32, sorted", "stock-fp32, given"}
    assert all(one["tokens_per_second"] > 0 for one in figures.values())
    assert (tmp_path / "out" / "roofline-tiny.png").stat().st_size > 10_000


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--models", "bert", "modernbert", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"about [\d,]+ minutes", text)
    assert "modernbert-base-variable-8192: " in text
    assert "BERT-base, fixed-8192: its positions end at 512 tokens" in text
    assert "scaled down" in text
    assert main(["bench", "--models", "bert", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [cell["cell"] for cell in told["cells"]] == ["bert-base-fixed-512", "bert-base-variable-512"]
    assert told["minutes"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--models", "bort"), "--models: found 'bort'"),
        (("--workloads", "fixed-513"), "--workloads: found 'fixed-513'"),
        (("--backends", "jax"), "--backends: found 'jax'"),
        (("--budget", "100MB"), "--budget: found 100MB, but the weights of"),
        (("--out", "file/out", "--sizes", "tiny"), "--out file/out: nothing can be written there"),
    ],
)
def test_a_wrong_use_is_told_in_one_sentence(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["bench", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {told}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_the_commands_defaults_are_the_studys():
    study, command = Settings(), Bench()
    for name in ("models", "sizes", "workloads", "documents", "scale", "rounds", "budget", "most_seconds"):
        assert getattr(command, name) == getattr(study, name), name
    assert set(command.backends) == set(study.backends) == set(BACKENDS)
