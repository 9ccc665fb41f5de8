"""A checkpoint is whole or not there; what is damaged is refused by name, and the one before it still works."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from modernbert.core.errors import CheckpointError
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.train.checkpoint import (
    Checkpoints,
    Progress,
    all_in,
    is_checkpoint,
    load_history,
    load_weights,
    read_config,
    read_progress,
)
from modernbert.train.config import AdamW, Muon, Saving
from modernbert.train.optimizer import make_optimizer
from modernbert.train.world import World
from support.runs import assert_same_weights
from support.tiny import tiny_config

SHAPE = tiny_config(num_hidden_layers=2, hidden_size=16, intermediate_size=24)
OPTIM = Muon(lr=1e-2)
WATCH = {"norms": [1.0, 0.1 + 0.2], "in_a_row": 1, "num_skipped": 2}


def trained(seed=1, optim=OPTIM):
    """A model and an optimizer that remembers something."""
    model = fresh(SHAPE, MaskedLM, seed=seed)
    optimizer = make_optimizer(model, optim)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return model, optimizer


def opened(tmp_path, **saving):
    return Checkpoints(tmp_path / "checkpoints", Saving(**saving), World())


def at(step, **more):
    return Progress(step=step, tokens=100 * step, stage="first", **more)


def history(optimizer):
    return {
        f"{group}.{place}.{name}": torch.as_tensor(value)
        for group, own in enumerate(optimizer.param_groups)
        for place, parameter in enumerate(own["params"])
        for name, value in optimizer.state[parameter].items()
    }


@pytest.fixture
def two(tmp_path):
    """Checkpoints of steps 1 and 2."""
    checkpoints = opened(tmp_path)
    for step in (1, 2):
        checkpoints.save(*trained(step), SHAPE, at(step), stays=False)
    checkpoints.close()
    return checkpoints


@pytest.mark.parametrize("background", [True, False])
def test_what_was_saved_comes_back_bit_for_bit(tmp_path, background):
    checkpoints = opened(tmp_path, background=background)
    model, optimizer = trained()
    progress = at(7, stage_tokens=3, loader={"block": 1, "place": 2, "row": 9}, watch=WATCH, seconds=1 / 3)
    checkpoints.save(model, optimizer, SHAPE, progress, stays=True)
    checkpoints.close()
    newest = checkpoints.newest()
    assert newest is not None
    assert is_checkpoint(newest)
    assert read_progress(newest) == progress
    assert read_config(newest) == SHAPE
    other, its = trained(2)
    load_weights(newest, other)
    assert_same_weights(other.state_dict(), model.state_dict())
    load_history(newest, other, its)
    assert_same_weights(other.state_dict(), model.state_dict())
    assert_same_weights(history(its), history(optimizer))


def test_training_goes_on_while_a_copy_is_written(tmp_path):
    checkpoints = opened(tmp_path)
    model, optimizer = trained()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    checkpoints.save(model, optimizer, SHAPE, at(1), stays=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    checkpoints.close()
    load_weights(checkpoints.newest(), model)
    assert_same_weights(model.state_dict(), before)


def test_the_newest_stay_and_those_that_must(tmp_path):
    checkpoints = opened(tmp_path, keep=2)
    model, optimizer = trained()
    for step in range(1, 7):
        checkpoints.save(model, optimizer, SHAPE, at(step), stays=step == 2)
    checkpoints.close()
    assert [path.name for path in all_in(checkpoints.folder)] == ["step-00000002", "step-00000005", "step-00000006"]


def test_an_empty_folder_has_none(tmp_path):
    checkpoints = opened(tmp_path)
    assert checkpoints.newest() is None
    checkpoints.close()


def test_what_a_killed_process_left_unfinished_is_no_checkpoint(two):
    shutil.copytree(two.newest(), two.folder / ".unfinished-1234-step-00000003")
    (two.folder / "step-00000009").mkdir()
    assert two.newest().name == "step-00000002"


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "config.json"])
def test_a_truncated_file_is_named_and_the_checkpoint_before_it_works(two, name):
    path = two.newest() / name
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(
        CheckpointError, match=rf"{name} is damaged: found \d+ of \d+ bytes; remove step-00000002 to go on"
    ):
        read_progress(two.newest())
    shutil.rmtree(two.newest())
    assert read_progress(two.newest()).step == 1
    model, optimizer = trained(3)
    load_weights(two.newest(), model)
    load_history(two.newest(), model, optimizer)


def test_a_missing_file_is_named(two):
    (two.newest() / "__0_0.distcp").unlink()
    with pytest.raises(CheckpointError, match=r"__0_0\.distcp is damaged: found nothing of \d+ bytes"):
        read_progress(two.newest())


def test_a_damaged_state_is_named(two):
    (two.newest() / "state.json").write_text('{"format": 1, "st')
    with pytest.raises(
        CheckpointError, match=r"state\.json cannot be read .*: remove step-00000002 to go on without it"
    ):
        read_progress(two.newest())


def test_a_newer_format_is_refused(two):
    path = two.newest() / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match="found format 99, expected 1: use the version that wrote it"):
        read_progress(two.newest())


OTHERS = {
    "another shape": lambda: (model := fresh(replace(SHAPE, hidden_size=32), MaskedLM), make_optimizer(model, OPTIM)),
    "more layers": lambda: (
        model := fresh(replace(SHAPE, num_hidden_layers=3), MaskedLM),
        make_optimizer(model, OPTIM),
    ),
    "another optimizer": lambda: trained(optim=AdamW(lr=1e-2)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_something_else_is_refused(two, other):
    with pytest.raises(CheckpointError, match="does not fit this model and optimizer, or is damaged"):
        load_history(two.newest(), *other())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("other", ["another shape", "more layers"])
def test_weights_of_something_else_are_refused(two, other):
    with pytest.raises(CheckpointError, match="does not fit this model and optimizer, or is damaged"):
        load_weights(two.newest(), OTHERS[other]()[0])


def test_where_nothing_can_be_written_the_error_says_so(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where the folder would be")
    checkpoints = opened(tmp_path)
    checkpoints.save(*trained(), SHAPE, at(1), stays=False)
    with pytest.raises(CheckpointError, match=r"could not be written to .*there is none yet: make room"):
        checkpoints.wait()
    checkpoints.close()


def test_an_error_of_the_background_is_raised_at_the_next_save_and_old_ones_stay(two, tmp_path):
    checkpoints = opened(tmp_path)
    (two.folder / "step-00000003").write_text("in the way")
    checkpoints.save(*trained(), SHAPE, at(3), stays=False)
    with pytest.raises(CheckpointError, match=r"the last good one is .*step-00000002: make room, then start the same"):
        checkpoints.save(*trained(), SHAPE, at(4), stays=False)
    checkpoints.close()
    assert read_progress(checkpoints.newest()).step == 2
    assert not list(two.folder.glob(".unfinished-*"))


def test_a_model_s_folder_is_no_checkpoint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert not is_checkpoint(tmp_path)
