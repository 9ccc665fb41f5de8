"""The loop with real workers, asked in this process: how they are started is tested in test_contender."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from modernbert.bench.contender import LostError
from modernbert.bench.machine import examine
from modernbert.bench.plan import Settings, make_plan
from modernbert.bench.rates import measure
from modernbert.bench.results import read_cell
from modernbert.bench.study import Place, check_writable, run_study
from modernbert.core.errors import UserError
from support.processes import Inside

SETTINGS = Settings(
    models=("modernbert",),
    sizes=("tiny",),
    workloads=("variable-512", "2x40", "scaling-length"),
    backends=("stock-fp32", "ours-fp32"),
    documents=3,
    most_seconds=0.02,
    rounds=2,
)
_rates = cache(lambda: measure("cpu"))
_machine = cache(examine)


def _study(out, start, settings=SETTINGS, **machine):
    plan = make_plan(settings, _rates(), device="cpu", exports=out / "models")
    return run_study(plan, Place(out=out, machine=replace(_machine(), **machine), rates=_rates(), start=start))


@cache
def _measured():
    out = Path(mkdtemp())
    return out, _study(out, Inside)


class Never(Inside):
    def __init__(self, *_, **__):
        pytest.fail("measured again")


class Wrong(Inside):
    """Ours has other weights than stock."""

    def load(self, **settings):
        loaded = super().load(**settings)
        if self.backend.runtime == "ours":
            self.worker._runner._model.final_norm.weight.data[0] += 1
        return loaded


class Dying(Inside):
    """Ours does not live to be timed."""

    def ask(self, what, **details):
        if self.backend.runtime == "ours" and what == "run":
            raise LostError("killed, most likely for memory")
        return super().ask(what, **details)


def test_every_contender_is_checked_and_then_timed_in_rounds():
    _, study = _measured()
    mixed, short = study.cells
    assert [one.name for one in mixed.timed] == ["stock-fp32, sorted", "stock-fp32, given", "ours-fp32, packed"]
    assert [one.name for one in short.timed] == ["stock-fp32, sorted", "ours-fp32, packed"]
    assert (mixed.documents, short.documents, short.tokens) == (3, 2, 80)
    for cell in study.cells:
        for one in cell.timed:
            assert len(one.seconds) >= 2
            assert 0 <= one.error < 1e-4
            assert 0 <= one.error_timed < 1e-4
    assert {one.name: one.error for one in mixed.timed}["ours-fp32, packed"] > 0
    assert all(one.largest_batch is None for one in mixed.timed)


def test_growth_ends_before_a_size_that_takes_too_long():
    (growth,) = _measured()[1].scaling
    assert growth.series.keys() == {"stock-fp32", "ours-fp32"}
    for name, points in growth.series.items():
        assert [point.at for point in points] == [32 * 2**i for i in range(len(points))]
        assert name in growth.stopped or points[-1].at == 32_768
    assert any("would take" in reason for reason in growth.stopped.values())


def test_what_was_measured_is_kept_and_goes_on_where_it_was():
    out, first = _measured()
    again = _study(out, Never)
    assert (again.cells, again.scaling) == (first.cells, first.scaling)
    (out / "cells" / "modernbert-tiny-2x40.json").unlink()
    third = _study(out, Inside)
    assert third.cells[0] == first.cells[0]
    assert third.cells[1].provenance != first.cells[1].provenance


@pytest.mark.parametrize("change", [{"rounds": 3}, {"kernels": "of other sources"}], ids=str)
def test_a_cell_of_other_conditions_is_measured_again(change, tmp_path, capsys):
    settings = replace(SETTINGS, workloads=("2x40",), backends=("ours-fp32",))
    first = _study(tmp_path, Inside, settings)
    settings = replace(settings, rounds=change.get("rounds", settings.rounds))
    again = _study(tmp_path, Inside, settings, kernels=change.get("kernels", _machine().kernels))
    assert "measured under other conditions before, and now again" in capsys.readouterr().err
    assert again.cells != first.cells
    assert read_cell(tmp_path / "cells" / "modernbert-tiny-2x40.json") == again.cells[0]


def test_wrong_outputs_are_not_timed(tmp_path):
    (cell,) = _study(tmp_path, Wrong, replace(SETTINGS, workloads=("2x40",))).cells
    ours = cell.measured[1]
    assert ours.failed.startswith("its outputs differ from stock's by ")
    assert ours.seconds == ()
    assert cell.measured[0].seconds


def test_a_contender_that_fails_does_not_stop_the_others(tmp_path):
    (cell,) = _study(tmp_path, Dying, replace(SETTINGS, workloads=("2x40",))).cells
    assert cell.measured[1].failed == "killed, most likely for memory"
    assert len(cell.measured[0].seconds) >= 2


class Alone(Inside):
    """There is no stock to compare with."""

    def load(self, **settings):
        if self.backend.runtime == "stock":
            raise LostError("no room")
        return super().load(**settings)


def test_nothing_is_timed_that_cannot_be_compared(tmp_path):
    (cell,) = _study(tmp_path, Alone, replace(SETTINGS, workloads=("2x40",))).cells
    assert [one.failed for one in cell.measured] == ["no room", "nothing to compare with, stock failed: no room"]
    assert cell.timed == ()


@pytest.mark.skipif(os.name == "nt", reason="says it otherwise")
def test_a_folder_that_cannot_be_written_is_refused_before_hours_of_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--out .*: nothing can be written there \(Not a directory\): choose another"):
        check_writable(tmp_path / "file" / "out")
    check_writable(tmp_path / "new" / "out")
    assert list((tmp_path / "new" / "out" / "cells").iterdir()) == []
