import json

from modernbert.cli.model_copy import Copy
from modernbert.cli.models import Models
from modernbert.model.store import load
from support.packages import package


def test_models_and_heads_are_listed_for_people_and_programs(tmp_path, monkeypatch, capsys):
    folder = package(tmp_path, monkeypatch, "embedding")
    Models().run()
    told = capsys.readouterr().out.splitlines()
    assert told[0].split(maxsplit=2) == ["wee", "fill-mask", "A wee model for tests"]
    assert told[2].split(maxsplit=2) == ["wee:embedding", "sentence-similarity", "A wee model for tests"]
    assert "0.6M parameters, 2.6 MB" in told[1]
    assert "texts of 1,024 tokens" in told[1]
    Models(json=True).run()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == ["wee", "wee:embedding"]
    assert rows[0]["folder"] == str(folder)
    assert len(rows[0]["signature"]) == 64


def test_a_model_is_copied_out_of_the_package(tmp_path, monkeypatch, capsys):
    package(tmp_path, monkeypatch, "embedding")
    Copy(model="wee:embedding", out=tmp_path / "mine").run()
    assert capsys.readouterr().out == f"{tmp_path / 'mine'}: wee:embedding, with its tokenizer\n"
    assert load(tmp_path / "mine").config.hidden_size == 128
    assert not (tmp_path / "mine" / "adapter_config.json").exists()
