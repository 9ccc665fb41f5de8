from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from modernbert.bench import machine
from modernbert.bench.machine import examine
from modernbert.model.precision import best_precision
from modernbert.ops.attention import choose
from modernbert.ops.native.library import library
from modernbert.ops.roofline import matmul_rate
from support.studies import MACHINE


def test_it_reports_what_the_rooms_below_would_choose():
    found = examine()
    precision = best_precision(found.device)
    assert (found.dtype, found.dtype_reason) == (precision.name, precision.reason)
    assert found.attention == choose(torch.device(found.device), precision.dtype, 64)
    assert found.backends[found.attention] == "usable"
    assert found.packages["torch"] == torch.__version__
    assert found.as_dict()["gflops"] > 0
    assert any(found.dtype_reason in line for line in found.lines())


def test_a_page_is_told_what_measured_it_in_one_line():
    one = replace(MACHINE, packages={"torch": "2", "numpy": "3"})
    rest = "cpu · Make-believe CPU · 2 cores · 2 threads · {}900 GFLOP/s · Python 3.11.7 · torch 2 · numpy 3"
    today = date.today().isoformat()
    assert one.line() == f"{today} · {rest.format('')}"
    assert one.line(0.25) == f"{today} · {rest.format('load before 0.2 · ')}"


def test_packages_that_are_asked_for_are_told_where_installed():
    assert list(examine(("numpy", "no-such-package")).packages) == ["numpy"]


def test_the_matrix_rate_is_between_a_snail_and_a_miracle():
    assert 1e8 < matmul_rate(seconds=0.05) < 1e15


def test_it_says_which_kernels_run_and_where_they_come_from(monkeypatch):
    kernels = library()
    origins = {"compiled here": Path("elsewhere"), "built with the package": kernels.path.parent if kernels else Path()}
    for origin, packaged in origins.items():
        monkeypatch.setattr(machine, "PACKAGED", packaged)
        found = examine()
        if kernels:
            assert found.kernels.startswith(f"{kernels.variant}: {origin}")
        assert any(found.kernels in line for line in found.lines())
    assert "native" in found.backends


def test_it_says_why_there_are_no_kernels(monkeypatch):
    monkeypatch.setattr(machine, "library", lambda: None)
    monkeypatch.setattr(machine, "no_library", lambda: "MODERNBERT_NATIVE=0 leaves them out")
    assert examine().kernels == "none: MODERNBERT_NATIVE=0 leaves them out"
