import json
from pathlib import Path

import pytest

from modernbert.cli.recipe import Check, Copy, List, Show
from modernbert.core.errors import ConfigError, UserError


def test_the_list_shows_recipes_by_size_and_overlays_apart(capsys):
    List().run()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:8]] == [
        *("recipe", "tiny", "17m", "32m", "68m", "base", "continue", "large")
    ]
    assert lines[5].split() == ["base", "149.7M", "2.019T", "1,879", "pretrain", ">", "context", ">", "decay"]
    assert lines.index("overlays, laid over a recipe as in  modernbert pretrain base z-loss") == 17
    assert [line.split()[0] for line in lines[18:]] == ["ettin-decay", "mask-decay", "mmbert", "muon", "z-loss"]


def test_the_list_as_json(capsys):
    List(json=True).run()
    found = {facts["name"]: facts for facts in json.loads(capsys.readouterr().out)}
    assert found["large"]["stages"] == ["pretrain", "rollback", "context", "decay"]
    assert found["z-loss"]["overlay"]
    assert "tokens" not in found["z-loss"]


def test_show_prints_the_file_and_copy_takes_it_away(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Show(name="base").run()
    shown = capsys.readouterr().out
    Copy(name="base").run()
    assert capsys.readouterr().out == "base.yaml\n"
    assert Path("base.yaml").read_text() == shown
    Copy(name="z-loss", file=Path("mine/other.yml")).run()
    assert "z_loss: 1e-4" in Path("mine/other.yml").read_text()


def test_copy_never_overwrites_and_wants_a_recipe_s_name(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("seed: 3\n")
    with pytest.raises(UserError, match=r"mine\.yaml is there already: choose another name"):
        Copy(name="base", file=mine).run()
    assert mine.read_text() == "seed: 3\n"
    with pytest.raises(UserError, match=r"found '\.txt', expected a name that ends in \.yaml"):
        Copy(name="base", file=tmp_path / "mine.txt").run()


def test_check_prints_the_plan(capsys):
    Check(recipes=("base", "mask-decay", "optim.lr=6e-4")).run()
    out = capsys.readouterr().out
    assert out.startswith("149.7M parameters; 2.39 GB of weights, gradients and optimizer\n")
    rows = {line.split()[0]: line.split() for line in out.splitlines()[2:6]}
    assert rows["pretrain"][1:3] == ["1.719T", "371,872"]
    assert "0.0006" in rows["pretrain"]
    assert rows["decay"][-3:] == ["5%", "160,000/10,000", "56"]
    assert rows["all"] == ["all", "2.019T", "435,450", "1,869"]
    assert "measured: ModernBERT, 8 H100 (arXiv 2412.13663): pretrain 312,336" in out
    assert "warning: no text for pretrain, context, decay" in out


def test_check_as_json(capsys):
    Check(recipes=("tiny",), json=True).run()
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == 4_000_000
    assert found["stages"][2]["last_lr"] == pytest.approx(2e-6)
    assert found["stages"][0]["cost"]["source"].startswith("derived from 17m")


def test_check_reads_as_strictly_as_pretrain():
    with pytest.raises(ConfigError, match=r"--optim\.weigth_decay: no such key; did you mean 'weight_decay'"):
        Check(recipes=("base", "optim.weigth_decay=1")).run()
