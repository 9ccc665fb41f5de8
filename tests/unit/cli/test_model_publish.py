import json

import pytest

from modernbert.cli.model_publish import Publish
from modernbert.core.errors import UserError
from support.series import published


def test_a_dry_run_lists_everything_and_prints_the_card(tmp_path, capsys):
    folders = published(tmp_path, 0, 10)
    (folders[0] / "notes.md").write_text("mine")
    Publish(folders=tuple(folders), repo="team/model", dry_run=True, license="mit").run()
    out, err = capsys.readouterr()
    first, last, empty, dashes, *_ = out.splitlines()
    size = sum(path.stat().st_size for path in folders[1].iterdir())
    assert first.startswith("step-0: would upload ")
    assert last.startswith(f"step-10 and main: would upload {size:,} bytes from {folders[1]}: model.safetensors, ")
    assert (empty, dashes) == ("", "---")
    assert "license: mit" in out
    assert "left out notes.md" in err


def test_a_program_reads_json(tmp_path, capsys):
    Publish(folders=tuple(published(tmp_path, 0, 10)), repo="team/model", dry_run=True, json=True).run()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["branches"] for row in rows] == [["step-0"], ["step-10", "main"]]
    assert all(row["uploaded"] is False and row["files"]["config.json"] > 0 for row in rows)


def test_offline_it_says_so_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"the Hub did not take team/model .*the same command goes on where it stopped"):
        Publish(folders=tuple(published(tmp_path, 0)), repo="team/model").run()


def test_a_repository_without_an_owner_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match="expected the Hub's owner/name"):
        Publish(folders=(tmp_path / "nowhere",), repo="model").run()
