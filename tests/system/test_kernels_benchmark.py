"""The benchmark of attention by itself: what it counts, what it refuses to time, its page."""

from pathlib import Path

import pytest

from modernbert.bench.machine import examine
from modernbert.ops.window import Window
from support.native import needs_native

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def kernels(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import kernels

    return kernels


@pytest.mark.parametrize(
    ("length", "window", "pairs"), [(5, Window.full(), 25), (5, Window.both(1), 13), (3, Window.both(9), 9)]
)
def test_only_pairs_that_see_each_other_count(length, window, pairs, kernels):
    assert kernels._pairs(length, window) == pairs


@needs_native
def test_a_row_holds_every_contender_and_the_page_shows_it(kernels):
    row = kernels.compare(3, 70, Window.both(8), 3)
    assert row.error < 1e-5
    assert all(0 < low <= middle <= high for middle, low, high in row.shares.values())
    last = kernels.page([row], examine()).splitlines()[-1]
    assert last.startswith("| 3 x 70 | ±8 | ")
    assert last.count("%") == 12


@needs_native
def test_nothing_is_timed_that_differs(kernels, monkeypatch):
    right = kernels._by_rows
    monkeypatch.setattr(kernels, "_by_rows", lambda *arguments: right(*arguments) + 0.01)
    with pytest.raises(AssertionError, match="ours and torch's differ by"):
        kernels.compare(2, 20, Window.full(), 3)


@needs_native
def test_the_command_leaves_out_what_is_too_long(kernels, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "WORKLOADS", ((2, 16), (1, 8192)))
    kernels.main(["--rounds", "3", "--most-tokens", "100", "--no-write"])
    assert sum(line.startswith("| 2 x 16 |") for line in capsys.readouterr().out.splitlines()) == 2
