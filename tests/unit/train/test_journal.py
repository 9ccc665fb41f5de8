"""The folder of a run: whose it is, and metrics that read as if nothing had ever been interrupted."""

import json
import sys
from math import inf, nan

import pytest

from modernbert.core.config import read
from modernbert.core.errors import ConfigError, MissingExtraError, UserError
from modernbert.train.config import Recipe
from modernbert.train.journal import Metrics, claim, environment, read_metrics

DATA = {"text": "abc"}


def recipe(folder, *changes):
    batch = {"size": 64}
    source = {"path": "text"}
    settings = {
        "model": "tiny",
        "run": str(folder / "run"),
        "data": {"sources": {"text": source}},
        "stages": {"one": {"tokens": 1000, "batch": batch}, "two": {"tokens": 1000, "batch": batch}},
    }
    return read(Recipe, settings, overrides=changes)


def metrics(folder, *, from_step=0, loggers=()):
    folder.mkdir(exist_ok=True)
    return Metrics(folder, loggers, from_step=from_step, settings={"optim": {"lr": 1.0}})


@pytest.fixture
def begun(tmp_path):
    claim(recipe(tmp_path), DATA)
    with metrics(tmp_path / "run") as written:
        written.write("step", 1, {"loss": 1.0})
    return tmp_path


def test_a_run_s_folder_repeats_it(tmp_path):
    claim(recipe(tmp_path, "seed=3"), DATA)
    folder = tmp_path / "run"
    assert read(Recipe, folder / "resolved.json") == read(Recipe, folder / "recipe.yaml") == recipe(tmp_path, "seed=3")
    assert json.loads((folder / "data.json").read_text()) == DATA
    found = json.loads((folder / "env.json").read_text())
    assert found["packages"]["torch"]
    assert found["world_size"] == 1


def test_the_environment_says_what_a_result_may_depend_on():
    found = environment()
    assert {"python", "device", "threads", "commit", "is_dirty", "command", "packages"} <= found.keys()
    assert json.loads(json.dumps(found)) == found


def test_the_same_recipe_goes_on_also_with_other_devices_workers_and_held_out_text(begun):
    claim(recipe(begun), DATA)
    changes = ("data.num_workers=3", "data.held_out={more: there}", "saving.keep=5", "devices.recompute=true")
    claim(recipe(begun, *changes), DATA | {"there": "new"})


def test_another_recipe_is_refused_and_the_differences_named(begun):
    with pytest.raises(ConfigError) as refused:
        claim(recipe(begun, "optim.lr=1e-3", "stages.two.lr=2", "seed=5"), DATA)
    assert str(refused.value) == (
        f"{begun / 'run'} holds a run of another recipe, which differs in stages.two.lr (None there, 2.0 here), "
        "optim.lr (0.0008 there, 0.001 here), seed (17 there, 5 here): go on with "
        f"{begun / 'run' / 'resolved.json'}, or choose another folder with --run"
    )
    assert read(Recipe, begun / "run" / "resolved.json") == recipe(begun)


def test_of_many_differences_four_are_named(begun):
    changes = ("optim.lr=1", "optim.eps=1", "optim.weight_decay=1", "seed=5", "dropout=0.5")
    with pytest.raises(ConfigError, match="and more: go on with"):
        claim(recipe(begun, *changes), DATA)


def test_a_stage_more_is_another_recipe(begun):
    with pytest.raises(ConfigError, match=r"stages \(one, two there, one, two, three here\)"):
        claim(recipe(begun, "stages.three={tokens: 5, batch: {size: 5}}"), DATA)


def test_other_tokens_under_the_same_name_are_refused(begun):
    with pytest.raises(ConfigError, match="has read other tokens under text than are there now, so it could not go on"):
        claim(recipe(begun), {"text": "changed"})


def test_a_run_that_never_began_may_still_be_changed(tmp_path):
    """Its recipe was refused further on, and has been mended."""
    claim(recipe(tmp_path), DATA)
    metrics(tmp_path / "run").close()
    claim(recipe(tmp_path, "seed=5"), {"text": "changed"})
    assert read(Recipe, tmp_path / "run" / "resolved.json").seed == 5


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match=r"run: .*run cannot be written \(.*\): choose another folder with --run"):
        claim(recipe(tmp_path), DATA)


def test_lines_come_back_by_kind(tmp_path):
    with metrics(tmp_path) as written:
        written.write("step", 1, {"loss": 0.1 + 0.2, "is_skipped": False})
        written.write("evaluation", 1, {"news": {"loss": 1.0, "by_position": {"64": 2.0}}})
        written.write("step", 2, {"loss": 1.0})
    assert read_metrics(tmp_path, "step")[0] == {"kind": "step", "step": 1, "loss": 0.1 + 0.2, "is_skipped": False}
    assert [line["step"] for line in read_metrics(tmp_path, "step")] == [1, 2]
    assert read_metrics(tmp_path, "evaluation")[0]["news"]["by_position"] == {"64": 2.0}


def test_what_is_no_number_is_null_for_other_programs(tmp_path):
    with metrics(tmp_path) as written:
        written.write("step", 1, {"loss": nan, "deep": {"norm": inf, "fine": 2.5}})
    assert read_metrics(tmp_path, "step") == [
        {"kind": "step", "step": 1, "loss": None, "deep": {"norm": None, "fine": 2.5}}
    ]


def test_a_resumed_run_takes_back_what_came_after_its_checkpoint(tmp_path):
    with metrics(tmp_path) as written:
        for step in range(1, 6):
            written.write("step", step, {"loss": float(step)})
            written.write("evaluation", step, {})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 6, "lo')  # killed while it wrote
    with metrics(tmp_path, from_step=3) as written:
        written.write("step", 4, {"loss": 40.0})
    assert [line["loss"] for line in read_metrics(tmp_path, "step")] == [1.0, 2.0, 3.0, 40.0]
    assert [line["step"] for line in read_metrics(tmp_path, "evaluation")] == [1, 2, 3]


def test_half_a_line_within_the_kept_ones_goes_too(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step", "step": 1}\n{"kind": "step", "step": 2')
    metrics(tmp_path, from_step=9).close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"kind": "step", "step": 1}\n'


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_each_step_once_after_a_resume(tmp_path):
    with metrics(tmp_path, loggers=["tensorboard"]) as written:
        for step in range(1, 5):
            written.write("step", step, {"loss": float(step), "stage": "one", "is_skipped": True})
    with metrics(tmp_path, from_step=2, loggers=["tensorboard"]) as written:
        written.write("step", 3, {"loss": 30.0})
        written.write("evaluation", 3, {"news": {"loss": 0.5}})
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(scalar.step, scalar.value) for scalar in shown.Scalars("step/loss")] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert [scalar.value for scalar in shown.Scalars("evaluation/news/loss")] == [0.5]
    assert "step/stage" not in shown.Tags()["scalars"]
    assert "recipe/text_summary" in shown.Tags()["tensors"]


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_a_dashboard_that_is_not_installed_says_how_it_would_be(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtraError, match=rf"'{name}' is not installed and this needs it: run  pip install {name}$"
    ):
        metrics(tmp_path, loggers=[name])


def test_hosted_dashboards_are_told_the_same(tmp_path, monkeypatch):
    """Neither is installed here, so a stand-in listens."""
    heard = []

    class StandIn:
        def init(self, **words):
            heard.append(words)

        def log(self, values, step):
            heard.append((step, values))

        def finish(self):
            heard.append("finished")

    monkeypatch.setitem(sys.modules, "trackio", StandIn())
    with metrics(tmp_path, loggers=["trackio"]) as written:
        written.write("step", 1, {"loss": 1.0, "stage": "one"})
    assert heard == [
        {"project": "modernbert", "name": tmp_path.name, "config": {"optim": {"lr": 1.0}}},
        (1, {"step/loss": 1.0}),
        "finished",
    ]
