import io
import json
import sys

import pytest

from modernbert.cli.model_check_int8 import STDIN, CheckInt8
from modernbert.core.errors import UserError
from support.native import needs_native
from support.small import small_checkpoint

pytestmark = needs_native


@pytest.fixture
def model(tmp_path):
    return str(small_checkpoint(tmp_path / "model"))


def test_a_table_and_a_verdict_are_printed(model, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("one\ntwo words\nthree words more\n")
    CheckInt8(model=model, files=(tmp_path / "a.txt",), seconds=0.01).run()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{model}: int8 against float32, 3 texts of ")
    rows = {line[:22].strip(): line[22:].split() for line in lines}
    assert rows["cosines"] == ["mean", "1st", "percentile", "least"]
    assert all(0.9 < float(cell) <= 1 for cell in rows["token states"] + rows["vectors (mean)"])
    assert len(rows["loss, nats"]) == 2
    assert len(rows["first guess"]) == 3
    assert any(line.startswith("nearest 1 of 3 texts: ") for line in lines)
    assert "tokens/s in float32" in lines[-3]
    assert lines[-1].endswith(".")


def test_stdin_is_read_where_it_is_asked_for_and_json_is_for_programs(model, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    CheckInt8(model=model, files=(STDIN,), seconds=0.01, json=True).run()
    told = json.loads(capsys.readouterr().out)
    assert told["num_texts"] == 2
    assert told["neighbours"] is None
    assert told["verdict"]
    assert told["states"].keys() == {"mean", "low", "least"}


def test_without_texts_it_reads_docstrings_of_the_standard_library(model, capsys):
    CheckInt8(model=model, tokens=200, seconds=0.01, json=True).run()
    out, err = capsys.readouterr()
    assert json.loads(out)["num_tokens"] <= 200
    assert "no texts are given: docstrings of Python's standard library are taken" in err


def test_an_empty_file_is_refused(model, tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(UserError, match="there is no text: found no line"):
        CheckInt8(model=model, files=(tmp_path / "empty.txt",)).run()
