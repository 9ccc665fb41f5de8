import json

import pytest

from modernbert.core.errors import CheckpointError, UserError
from modernbert.model.encoder import Encoder
from modernbert.model.heads import ARCHITECTURES
from modernbert.model.revisions import AUTO, Training, read_series
from modernbert.model.store import fresh, load, save
from support.series import RECIPE, published
from support.tiny import tiny_config


def test_a_series_is_in_the_order_of_its_steps_and_not_of_its_names(tmp_path):
    series = read_series(published(tmp_path, 900, 0, 1000))
    assert [one.name for one in series] == ["step-0", "step-900", "step-1000"]
    assert series[1].training == Training(step=900, tokens=900_000, stage="pretrain", metrics={"loss": 3.25})
    assert series[0].training == Training(step=0, tokens=0, stage="pretrain", metrics={})


def test_a_revision_holds_the_models_files_and_names_the_rest(tmp_path):
    (folder,) = published(tmp_path, 5)
    (folder / "optimizer.pt").write_bytes(b"secret")
    (folder / "README.md").write_text("old")
    (one,) = read_series([folder])
    assert {path.name for path in one.files} == {
        "model.safetensors", "config.json", "training.json",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    }  # fmt: skip
    assert [path.name for path in one.left_out] == ["README.md", "optimizer.pt"]
    assert one.num_parameters == sum(parameter.numel() for parameter in load(folder).parameters())
    assert one.has_tokenizer


def test_the_recipe_is_found_beside_the_model_or_above_the_runs_series(tmp_path):
    (folder,) = published(tmp_path, 5)
    assert read_series([folder])[0].recipe == RECIPE
    (folder / "recipe.yaml").write_text("model: base\n")
    assert read_series([folder])[0].recipe == "model: base\n"
    (elsewhere := tmp_path / "models").mkdir()
    (folder / "recipe.yaml").unlink()
    folder.rename(elsewhere / "one")
    assert read_series([elsewhere / "one"])[0].recipe is None, "another folder's recipe was taken"


def test_a_folder_that_says_no_step_has_its_own_name_and_comes_last(tmp_path):
    save(fresh(tiny_config(), Encoder), tmp_path / "averaged")
    series = read_series([tmp_path / "averaged", *published(tmp_path, 7)])
    assert [one.name for one in series] == ["step-7", "averaged"]
    assert series[1].training is None
    assert not series[1].has_tokenizer


def test_every_architecture_can_be_published():
    assert AUTO.keys() == ARCHITECTURES.keys()


def test_two_of_one_step_are_refused(tmp_path):
    one, other = published(tmp_path / "a", 7), published(tmp_path / "b", 7)
    with pytest.raises(UserError, match=r"a/published/step-0000007 and .*b/published/step-0000007 are both step-7"):
        read_series([*one, *other])


@pytest.mark.parametrize("name", ["main", "a b", "-x"])
def test_a_name_that_no_branch_can_have_is_refused(name, tmp_path):
    save(fresh(tiny_config()), tmp_path / name)
    with pytest.raises(UserError, match=f"'{name}' cannot be a branch of its own: rename the folder"):
        read_series([tmp_path / name])


def test_nothing_is_no_series():
    with pytest.raises(UserError, match="found no folder to publish"):
        read_series([])


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="nowhere: found no such folder"):
        read_series([tmp_path / "nowhere"])


SAID = {
    "no JSON": ("{", "training.json is not JSON"),
    "a list": ("[1]", "says no step"),
    "no step": ("{}", "says no step"),
    "a step of words": ('{"step": "7"}', "says no step"),
    "a step below 0": ('{"step": -1}', "says no step"),
    "a truth": ('{"step": true}', "says no step"),
    "half a token": ('{"step": 1, "tokens": 0.5}', "found tokens 0.5 and stage None"),
    "a stage of numbers": ('{"step": 1, "stage": 2}', "found tokens None and stage 2"),
}


@pytest.mark.parametrize("what", SAID)
def test_a_training_file_that_says_nothing_is_refused(what, tmp_path):
    (folder,) = published(tmp_path, 7)
    text, message = SAID[what]
    (folder / "training.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_series([folder])


def test_numbers_that_are_no_numbers_are_no_metrics(tmp_path):
    (folder,) = published(tmp_path, 7)
    (folder / "training.json").write_text('{"step": 7, "loss": NaN, "accuracy": 0.5, "done": true, "note": "x"}')
    assert read_series([folder])[0].training == Training(step=7, tokens=None, stage=None, metrics={"accuracy": 0.5})


def test_an_architecture_that_nobody_opens_is_refused(tmp_path):
    (folder,) = published(tmp_path, 7)
    config = json.loads((folder / "config.json").read_text()) | {"architectures": ["Other"]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="architectures: found 'Other', expected one of ModernBertModel"):
        read_series([folder])


def test_broken_weights_are_not_published(tmp_path):
    (folder,) = published(tmp_path, 7)
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged .*: write it again"):
        read_series([folder])
