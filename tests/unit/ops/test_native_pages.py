"""Pages that a file holds as well are given back, and nothing is lost."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modernbert.ops.native.pages import let_go

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's /proc and madvise")


def kept_by(what: str) -> int:
    """In bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def test_weights_from_a_file_need_no_memory_until_they_are_read_again(tmp_path):
    written = torch.randn(4096, 2048)
    save_file({"weight": written}, tmp_path / "model.safetensors")
    weight = load_file(tmp_path / "model.safetensors")["weight"]
    assert torch.equal(weight, written)
    before = kept_by("RssFile")
    assert let_go([weight]) > 0.99 * weight.nbytes
    assert before - kept_by("RssFile") > 0.9 * weight.nbytes
    assert torch.equal(weight, written)


def test_changes_to_weights_from_a_file_are_kept(tmp_path):
    save_file({"weight": torch.zeros(64, 2048)}, tmp_path / "model.safetensors")
    weight = load_file(tmp_path / "model.safetensors")["weight"]
    weight[3] = 7.0
    let_go([weight])
    assert float(weight.sum()) == 7.0 * 2048


def test_other_memory_is_left_alone():
    assert let_go([torch.ones(512, 2048), torch.ones(3)]) == 0
