"""Suites of fine-tuning runs: planned, run once, gone on with, and put in a table."""

import json
from pathlib import Path

from modernbert.cli.main import main
from modernbert.tasks.config import Finetune
from modernbert.tasks.suite import read_scores, read_suite, runs, suite_names, table
from support.labelled import measured, paired, write_set
from support.small import small_checkpoint

SUITE = """
title: Small
seeds: [1, 2, 3]
common: {max_steps: 3, per_device_train_batch_size: 8, learning_rate: 1e-3}
tasks:
  scored: {score: spearman, start: inferred, common: {task: regression}}
  inferred: {score: accuracy, common: {task: seq_cls}}
published: {Giant: {inferred: 0.9}}
"""


def test_shipped_suites_can_be_read_and_their_runs_planned(tmp_path):
    assert suite_names() == ["basics", "glue"]
    glue = read_suite("glue")
    assert len(glue.tasks) == 9
    planned = list(runs(glue, "m", tmp_path, data=None, size="base", tasks=["rte"], seeds=[5]))
    assert [(name, seed) for name, seed, _ in planned] == [("mnli", 5), ("rte", 5)]
    mnli, rte = (settings for _, _, settings in planned)
    assert (mnli.learning_rate, mnli.weight_decay, mnli.num_train_epochs, mnli.subset) == (5e-5, 5e-6, 1, "mnli")
    assert rte.model == str(tmp_path / "mnli" / "seed-5" / "model")
    large = list(runs(glue, "m", tmp_path, data=None, size="large", tasks=list(glue.tasks), seeds=glue.seeds))
    assert len(large) == 45
    for suite in map(read_suite, suite_names()):
        for _, _, settings in runs(
            suite, "m", tmp_path, data=Path("d"), size="base", tasks=list(suite.tasks), seeds=[1]
        ):
            assert isinstance(settings, Finetune)


def test_settings_of_one_task_are_its_own(tmp_path):
    changes = ["mrpc.max_steps=7", "learning_rate=1e-3", "mrpc.learning_rate=2e-3", "mrpc.model=small"]
    planned = runs(
        read_suite("glue"), "m", tmp_path, data=None, size="base", tasks=["sst2", "mrpc"], seeds=[5], changes=changes
    )
    assert [(name, run.learning_rate, run.max_steps, run.model) for name, _, run in planned] == [
        ("sst2", 1e-3, -1, "m"),
        ("mrpc", 2e-3, 7, "small"),
    ]


def test_a_suite_runs_once_and_compares(tmp_path, capsys):
    small_checkpoint(tmp_path / "checkpoint")
    write_set(tmp_path / "data" / "inferred", paired)
    write_set(tmp_path / "data" / "scored", measured)
    (tmp_path / "small.yaml").write_text(SUITE)
    words = ["evaluate", "suite", str(tmp_path / "small.yaml"), "--model", str(tmp_path / "checkpoint"), "--data"]
    words += [str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert main([*words, "--dry-run"]) == 0
    planned = capsys.readouterr().out.splitlines()
    assert len(planned) == 6
    assert planned[0].startswith("inferred")
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: len(scores) for name, scores in found.items()} == {"inferred": 3, "scored": 3}
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert main([*words, "--against", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "| p of the difference |" in said
    assert "1.000" in said
    assert "| Giant (published) |  | 90.0 |" in said
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert not list((tmp_path / "out").rglob("checkpoint-*"))
    assert read_scores(read_suite(str(tmp_path / "small.yaml")), tmp_path / "out") == found


def test_one_seed_has_no_range_and_no_significance():
    suite = read_suite("basics")
    text = table(suite, {"sst2": [0.9]}, name="m", against={"sst2": [0.8]})
    assert "| m | 90.0 | 90.0 |" in text
    assert "too few seeds" in text


def test_a_sweep_says_the_best(tmp_path, capsys):
    small_checkpoint(tmp_path / "checkpoint")
    write_set(tmp_path / "set", paired)
    words = ["evaluate", "sweep", "task=seq_cls", f"model={tmp_path / 'checkpoint'}", f"dataset={tmp_path / 'set'}"]
    words += [f"out={tmp_path / 'out'}", "max_steps=2", "--learning-rates", "1e-5", "1e-3", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["score"] == "accuracy"
    assert set(found["found"]) == {"1e-05", "0.001"}


def test_a_task_that_is_not_there_is_one_sentence(capsys):
    assert main(["evaluate", "suite", "glue", "--tasks", "colla"]) == 2
    assert "--tasks: found 'colla', expected some of cola, sst2" in capsys.readouterr().err
    assert main(["evaluate", "suite", "glu"]) == 2
    assert "there is no suite 'glu', found basics, glue" in capsys.readouterr().err
