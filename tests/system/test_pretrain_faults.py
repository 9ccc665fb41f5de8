"""Whatever happens to a run, the same command goes on, and the result is that of a run to which nothing happened.

Bit for bit: metrics (but for the clock) and weights, with dropout on, an optimizer with memory, two stages, and held-out
text. A fault is one sentence, and costs at most what came after the last checkpoint.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
from dataclasses import replace

import pytest
import torch

from modernbert.core.config import write
from modernbert.core.errors import CheckpointError, ConfigError, UserError
from modernbert.train.guard import TrainingError
from modernbert.train.pretrain import pretrain
from modernbert.train.step import Trainer
from support.runs import (
    assert_same_run,
    assert_same_weights,
    checkpoints,
    copy_until,
    ended,
    metrics,
    recipe,
    shards,
    start,
    wait_for_step,
    weights,
)

LONG = (40, 8)
"""Stages in steps, long enough to be killed in."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def whole(home):
    """A run of a dozen steps that nothing happened to."""
    return pretrain(recipe(home, f"run={home / 'whole'}", "saving.keep=all")).run


def before_step(monkeypatch, step, action):
    """Have something happen just before the step of that number, counted from here."""
    original, counted = Trainer.step, []

    def wrapped(self, *args, **kwargs):
        counted.append(1)
        if len(counted) == step:
            action(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "step", wrapped)


def told_to_stop(_):
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_is_told_to_stop_after_every_step_is_the_same_run(home, whole, monkeypatch):
    given = recipe(home, f"run={home / 'halting'}", "saving.background=false")
    for number in range(1, 30):
        with monkeypatch.context() as patched:
            before_step(patched, 1, told_to_stop)
            result = pretrain(given)
        if result.model:
            break
        assert (result.progress.step, checkpoints(given.run)[-1]) == (number, number)
    assert_same_run(given.run, whole)


def test_the_checkpoint_of_a_stage_s_end_stays_also_when_the_run_is_stopped_there(home, whole, monkeypatch):
    given = recipe(home, f"run={home / 'at-the-end'}")
    (end,) = [line["step"] for line in metrics(whole) if line["kind"] == "evaluation" and line["step"] in (6, 7, 8)]
    before_step(monkeypatch, end, told_to_stop)
    result = pretrain(given)
    assert (result.model, result.progress.step) == (None, end)
    assert json.loads((given.run / "checkpoints" / f"step-{end:08d}" / "state.json").read_text())["stays"]
    assert_same_run(pretrain(given).run, whole)


def test_a_finished_run_only_writes_its_model_again(whole, home, capsys):
    lines, model = metrics(whole), weights(whole / "model")
    facts = json.loads((whole / "model" / "training.json").read_text())
    shutil.rmtree(whole / "model")
    result = pretrain(recipe(home, f"run={whole}", "saving.keep=all"))
    assert result.progress.step == lines[-1]["step"]
    assert "going on from" in capsys.readouterr().err
    assert metrics(whole) == lines
    assert_same_weights(weights(whole / "model"), model)
    assert json.loads((whole / "model" / "training.json").read_text()) == facts
    assert facts["held_out"]["held"]["num_predicted"] > 0


def test_killed_then_told_to_stop_then_with_a_worker_it_is_the_same_run(home):
    rarely = ("saving.every=1500", "evaluation.every=4096")
    expected = pretrain(recipe(home, f"run={home / 'long'}", *rarely, steps=LONG)).run
    given = recipe(home, f"run={home / 'killed'}", *rarely, steps=LONG)
    write(given, home / "killed.yaml")
    first, second = sorted(random.sample(range(3, 26), 2))
    sys.stdout.write(f"killed at step {first}, told to stop at step {second} or later")

    process = start("-m", "modernbert.cli.main", "pretrain", str(home / "killed.yaml"))
    wait_for_step(first, given.run, process)
    process.kill()
    ended(process)
    assert not (given.run / "model").exists()

    process = start("-m", "modernbert.cli.main", "pretrain", str(home / "killed.yaml"), "--json")
    wait_for_step(second + 1, given.run, process)
    process.terminate()
    (stopped,) = ended(process)
    assert stopped.code == 0, stopped.err
    facts = json.loads(stopped.out)
    assert not facts["is_finished"]
    assert checkpoints(given.run)[-1] == facts["step"] >= second
    assert "SIGTERM: finishing this step and saving" in stopped.err

    pretrain(replace(given, data=replace(given.data, num_workers=1)))
    assert_same_run(given.run, expected)


def test_weights_that_went_bad_stop_the_run_and_the_last_good_checkpoint_stays(home, whole, monkeypatch):
    given = recipe(home, f"run={home / 'bad'}", "guard.patience=4", "saving={every: 1, keep: 1}")

    def poison(trainer):
        with torch.no_grad():
            trainer.model.model.embeddings.tok_embeddings.weight.fill_(torch.nan)

    with monkeypatch.context() as patched:
        before_step(patched, 4, poison)
        with pytest.raises(TrainingError, match="4 steps in a row were skipped, the last because the loss is nan"):
            pretrain(given)
    assert checkpoints(given.run) == [3]
    skipped = [(line["is_skipped"], line["loss"]) for line in metrics(given.run) if line["kind"] == "step"]
    assert skipped[3:] == [(True, None)] * 3
    pretrain(given)
    assert_same_run(given.run, whole)


def test_a_full_disk_is_told_and_nothing_is_lost(home, whole, monkeypatch):
    """The limit on a file's size is one that a process may set for itself: writing fails as it does on a full disk."""
    given = recipe(home, f"run={home / 'full'}")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(_):
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))

    try:
        with monkeypatch.context() as patched:
            before_step(patched, 5, fill)
            with pytest.raises(CheckpointError) as refused:
                pretrain(given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(refused.value).startswith(f"a checkpoint could not be written to {given.run / 'checkpoints'} (")
    assert "File too large" in str(refused.value)
    assert str(refused.value).endswith("make room, then start the same command again")
    assert checkpoints(given.run)
    assert not list(given.run.rglob(".unfinished-*"))
    pretrain(given)
    assert_same_run(given.run, whole)


def test_a_truncated_checkpoint_is_named_and_the_one_before_it_works(home, whole):
    run = copy_until(9, whole, home / "truncated")
    given = recipe(home, f"run={run}")
    newest = run / "checkpoints" / f"step-{checkpoints(run)[-1]:08d}"
    file = newest / "__0_0.distcp"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=rf"is damaged: found \d+ of \d+ bytes; remove {newest.name} to go on"):
        pretrain(given)
    shutil.rmtree(newest)
    pretrain(given)
    assert_same_run(run, whole)


def test_other_text_under_the_same_name_is_refused(home, whole, tmp_path):
    run = copy_until(9, whole, tmp_path / "run")
    shutil.copytree(home / "text", tmp_path / "text")
    changed = recipe(home, f"run={run}")
    index = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(index | {str(home / "text"): "of other tokens"}))
    lines = metrics(run)
    with pytest.raises(ConfigError, match=r"has read other tokens under .*text than are there now"):
        pretrain(changed)
    assert metrics(run) == lines


def test_another_recipe_in_the_folder_is_refused_and_changes_nothing(home, whole):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"differs in optim\.lr \(0\.004 there, 0\.1 here\)"):
        pretrain(recipe(home, f"run={whole}", "optim.lr=0.1"))
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_a_token_that_is_none_is_refused(home, tmp_path):
    shards(tmp_path / "text", 60)
    shards(tmp_path / "held", 12, seed=1)
    path = tmp_path / "text" / "00000.tokens"
    content = bytearray(path.read_bytes())
    content[1::2] = b"\xff" * (len(content) // 2)  # the high bytes: ids from 65,280 on
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"row 0 has the token 65\d+, of a vocabulary of 448: a file of tokens is corrupt"
    ):
        pretrain(recipe(tmp_path))


def test_a_published_series_begins_with_the_first_weights(home):
    given = recipe(home, f"run={home / 'series'}", "saving.keep_every=512", "saving.keep=1")
    result = pretrain(given)
    published = sorted(int(path.name.removeprefix("step-")) for path in (given.run / "published").iterdir())
    assert published[0] == 0
    assert set(published[1:]) <= set(checkpoints(given.run))
    assert len(published) >= 5
    assert_same_weights(weights(given.run / "published" / f"step-{published[-1]:08d}"), weights(result.model))
    facts = json.loads((given.run / "published" / f"step-{published[1]:08d}" / "training.json").read_text())
    assert (facts["step"], facts["stage"]) == (published[1], "short")


def test_checkpoints_are_pruned_only_among_those_that_pass(home):
    run = pretrain(recipe(home, f"run={home / 'pruned'}", "saving={every: 1, keep: 2}")).run
    ends = [line["step"] for line in metrics(run) if line["kind"] == "evaluation"]
    kept = checkpoints(run)
    assert kept[-1] == metrics(run)[-1]["step"]
    assert len(kept) == 4
    assert len(set(kept) & set(ends)) >= 2


@pytest.mark.parametrize("limit", [50_000, 1000], ids=["the model", "metrics"])
def test_a_disk_that_is_full_for_models_or_metrics_is_told_too(home, whole, monkeypatch, limit):
    given = recipe(home, f"run={home / f'full-{limit}'}", "saving.every=null")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with monkeypatch.context() as patched:
            before_step(patched, 2, lambda _: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1])))
            with pytest.raises(CheckpointError) as refused:
                pretrain(given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(refused.value).startswith(f"{given.run} cannot be written (")
    assert str(refused.value).endswith(
        "make room, then start the same command again; it goes on from the last checkpoint"
    )
    pretrain(given)
    assert_same_run(given.run, whole)
