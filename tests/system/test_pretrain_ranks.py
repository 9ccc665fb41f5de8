"""Two processes compute what one does: DDP and FSDP2, rows that cannot be shared out evenly, checkpoints of either.

Within rounding: two processes add the same gradients in another order. Dropout falls by the row, so it may be on.
"""

import signal
import sys

import pytest
import torch

from modernbert.core.config import write
from modernbert.train.pretrain import pretrain
from support import rank as rank_program
from support.runs import checkpoints, copy_until, ended, free_port, metrics, recipe, start, wait_for_checkpoint, weights

UNEVEN = (
    *("optim={kind: stable-adamw, lr: 4e-3}", "saving.keep=all"),
    *("stages.short.batch.size=384", "stages.long.batch.size=384"),
)
"""Three rows a step, for two processes."""

LOSS = 1e-6
"""Relative, at every step."""
NORM = 1e-5
WEIGHT = 1e-5
"""Absolute, after all steps, each of which moves a weight by up to 4e-3."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def one(home):
    """The run of one process."""
    return pretrain(recipe(home, f"run={home / 'one'}", *UNEVEN)).run


@pytest.fixture(scope="module")
def two(home, one):
    """Runs of two processes, by name."""
    (end, *_) = checkpoints(one)
    made = {
        "ddp": recipe(home, f"run={home / 'ddp'}", *UNEVEN),
        "fsdp": recipe(home, f"run={home / 'fsdp'}", *UNEVEN, "devices.parallel=fsdp"),
        "one, then fsdp": recipe(
            home, f"run={copy_until(end, one, home / 'resumed')}", *UNEVEN, "devices.parallel=fsdp"
        ),
    }
    words = []
    for name, given in made.items():
        write(given, home / f"{name}.yaml")
        words += [str(home / f"{name}.yaml"), free_port()]
    for process in ended(*(start(rank_program.__file__, *words, rank=rank, size=2) for rank in range(2))):
        assert process.code == 0, process.err
    return {name: given.run for name, given in made.items()}


def assert_near(actual, expected):
    """The same steps, rows and tokens; losses, norms and weights within rounding."""
    pairs = list(zip(metrics(actual), metrics(expected), strict=True))
    worst = {"loss": 0.0, "grad_norm": 0.0}
    for mine, its in pairs:
        exact = mine.keys() - {"loss", "grad_norm", "accuracy", "held"}
        assert {key: mine[key] for key in exact} == {key: its[key] for key in exact}
        if mine["kind"] == "step":
            worst = {key: max(worst[key], abs(mine[key] - its[key]) / its[key]) for key in worst}
        else:
            assert mine["held"]["num_predicted"] == its["held"]["num_predicted"]
            assert mine["held"]["loss"] == pytest.approx(its["held"]["loss"], rel=LOSS)
    mine, its = weights(actual / "model"), weights(expected / "model")
    worst["weight"] = max(float((mine[name] - its[name]).abs().max()) for name in its)
    sys.stdout.write(f"{actual.name}: off by {worst}\n")
    assert mine.keys() == its.keys()
    assert worst["loss"] <= LOSS
    assert worst["grad_norm"] <= NORM
    assert worst["weight"] <= WEIGHT


@pytest.mark.parametrize("name", ["ddp", "fsdp", "one, then fsdp"])
def test_two_processes_compute_what_one_does(two, one, name):
    assert metrics(one)[0]["batch_rows"] == 3
    assert_near(two[name], one)
    assert checkpoints(two[name]) == checkpoints(one)


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_one_process_goes_on_with_a_checkpoint_of_two(two, one, home, name):
    (end, *_) = checkpoints(one)
    run = copy_until(end, two[name], home / f"{name}, then one")
    pretrain(recipe(home, f"run={run}", *UNEVEN))
    assert_near(run, one)


def test_a_lost_process_ends_the_others_with_a_sentence_and_costs_nothing_saved(home):
    rarely = ("saving.every=10000",)  # nothing is being saved when the process is lost: that would tell it, too
    given = recipe(home, f"run={home / 'lost'}", *UNEVEN, *rarely, steps=(200, 4))
    write(given, home / "lost.yaml")
    port = free_port()
    words = ("-m", "modernbert.cli.main", "pretrain", str(home / "lost.yaml"))
    first, second = (start(*words, rank=rank, size=2, port=port) for rank in range(2))
    wait_for_checkpoint(given.run, first)
    second.send_signal(signal.SIGKILL)
    left, _ = ended(first, second)
    assert (left.code, left.out) == (2, ""), left.err
    assert left.err.splitlines()[-1].startswith("error: another process of this run is gone or does not answer (")
    assert "start the same command again" in left.err
    assert "Traceback" not in left.err
    (newest, *_) = checkpoints(given.run)[::-1]
    assert newest >= 26, "384 tokens a step"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("modernbert.train.pretrain._Run.must_stop", lambda run: run.progress.step > newest + 2)
        assert pretrain(given).progress.step == newest + 3
