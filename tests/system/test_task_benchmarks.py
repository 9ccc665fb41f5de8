"""The two fine-tuning benchmarks on a small model: they compare before they measure, and their tables hold what was found."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from modernbert.model.precision import Precision
from support.labelled import classified, measured, write_set
from support.small import small_checkpoint

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_and_prediction_are_measured_side_by_side(tmp_path, monkeypatch, capsys, dtype):
    import finetune

    if dtype == torch.bfloat16:  # once is enough: a process takes seconds to begin
        monkeypatch.setattr(finetune, "_elsewhere", lambda name, options: (1.0, 1.0))
    monkeypatch.setattr(finetune, "best_precision", lambda: Precision(dtype, "as asked"))
    model = small_checkpoint(tmp_path / "model")
    rows = write_set(tmp_path / "set", classified) / "train.jsonl"
    words = [str(rows), "--model", str(model), "--rows", "24", "--longest", "48", "--rounds", "1", "--no-write"]
    finetune.main(words)
    said = capsys.readouterr()
    assert ("bfloat16 moves logits" in said.err) is (dtype == torch.bfloat16)
    lines = [line for line in said.out.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(finetune.CONTENDERS)
    assert lines[3].count("x |") == 2


def test_outputs_that_differ_stop_the_benchmark():
    import finetune

    exact = np.zeros((2, 2))
    found = dict.fromkeys(finetune.CONTENDERS, exact)
    finetune._check(found)
    with pytest.raises(SystemExit, match=r"differ by 0\.1 in a logit"):
        finetune._check(found | {finetune.PADDED: np.full((2, 2), 0.1)})
    rounded = {name: np.full((2, 2), 0.1) for name in finetune.CONTENDERS}
    finetune._check_rounding(rounded, exact)
    with pytest.raises(SystemExit, match=r"moves our logits by 0\.21 and stock's by 0\.1, expected at most 2 times"):
        finetune._check_rounding(rounded | {finetune.OURS: np.full((2, 2), 0.21)}, exact)


def test_tasks_are_run_once_by_both_and_tabled(tmp_path, monkeypatch, capsys):
    import tasks

    monkeypatch.setattr(tasks, "PAGE", tmp_path / "page.md")
    small_checkpoint(tmp_path / "model")
    write_set(tmp_path / "data" / "stsb", measured)
    words = [str(tmp_path / "data"), "--model", str(tmp_path / "model"), "--tasks", "stsb", "--seeds", "1", "2"]
    words += ["--settings", "max_steps=2", "--out", str(tmp_path / "out")]
    tasks.main(words)
    first = capsys.readouterr().out
    times = [path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")]
    assert len(times) == 4
    tasks.main(words)
    assert capsys.readouterr().out == first
    assert times == [path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")]
    assert "| stsb | spearman | 48 |" in first
    assert first.strip() in (tmp_path / "page.md").read_text()
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    curve = json.loads((tmp_path / "out" / "stsb-1-ours.json").read_text())["curve"]
    assert any("loss" in line for line in curve)
    assert any("eval_spearman" in line for line in curve)


def test_glue_is_run_where_the_folder_has_it(tmp_path, monkeypatch, capsys):
    import glue

    monkeypatch.setattr(glue, "PAGE", tmp_path / "page.md")
    small_checkpoint(tmp_path / "model")
    write_set(tmp_path / "data" / "stsb", measured)
    write_set(tmp_path / "data" / "cola", classified)
    words = [str(tmp_path / "data"), "--model", str(tmp_path / "model"), "--settings", "max_steps=2"]
    words += ["--out", str(tmp_path / "out")]
    glue.main([*words, "--seeds", "19", "--tasks", "stsb", "--no-write"])
    assert not (tmp_path / "page.md").exists()
    before = (tmp_path / "out" / "stsb-seed-19.json").stat().st_mtime_ns
    glue.main([*words, "--seeds", "19", "5"])
    page = (tmp_path / "page.md").read_text()
    assert "| cola (matthews) | stsb (spearman) | mean |" in capsys.readouterr().out
    assert "but for max_steps=2" in page
    assert "not run: sst2, mnli, mrpc, qqp, qnli, rte, wnli" in page
    assert "stsb begin as" in page
    assert before == (tmp_path / "out" / "stsb-seed-19.json").stat().st_mtime_ns
