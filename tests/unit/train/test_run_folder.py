import platform
from dataclasses import dataclass
from pathlib import Path

import pytest

from modernbert.core.errors import ConfigError, UserError
from modernbert.train.run_folder import claim, last_checkpoint, machine, versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    rate: float = 0.5
    steps: int = 3
    out: Path = Path("runs")


def test_a_folder_belongs_to_one_recipe(tmp_path):
    claim(Settings(rate=0.1), tmp_path / "run")
    claim(Settings(), tmp_path / "run")  # nothing was made by the first
    (tmp_path / "run" / "checkpoint-1").mkdir()
    claim(Settings(), tmp_path / "run")
    claim(Settings(steps=4), tmp_path / "run", free=("steps",))
    with pytest.raises(
        ConfigError, match=r"holds a run of another recipe, which differs in rate \(0.5 there, 0.25 here\): go on with"
    ):
        claim(Settings(rate=0.25, steps=4), tmp_path / "run", free=("steps",))
    with pytest.raises(
        ConfigError, match=r"differs in rate \(0.5 there, 0.25 here\), steps \(4 there, 3 here\): go on"
    ):
        claim(Settings(rate=0.25), tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written .*: choose another folder with --out"):
        claim(Settings(), tmp_path / "file" / "run")


def test_the_last_checkpoint_is_the_largest_whole_one(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-11", "checkpoint-best"):
        (tmp_path / name).mkdir()
        if name != "checkpoint-11":
            (tmp_path / name / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_what_it_ran_on_is_told():
    assert versions("torch")["python"] == platform.python_version()
    assert list(versions("torch", "numpy")) == ["python", "torch", "numpy"]
    assert machine()
