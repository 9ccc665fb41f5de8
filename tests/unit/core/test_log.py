"""Everything on stderr; quiet when asked; plain lines where nobody sees a bar."""

import io
import sys

import pytest

from modernbert.core import _bar, log
from modernbert.core._bar import Bar
from modernbert.core.log import progress, say, warn_once


class Terminal(io.StringIO):
    """A stderr that claims to be a screen."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch):
    monkeypatch.setattr(log, "_warned", set())
    monkeypatch.delenv("MODERNBERT_QUIET", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


def test_a_message_goes_to_stderr_on_its_own_line(capsys):
    say("packing")
    assert capsys.readouterr() == ("", "packing\n")


def test_a_warning_appears_once_for_each_key(capsys):
    for _ in range(3):
        warn_once("slow", "no compiler found; the plain path is 5 times slower")
        warn_once("old", "x")
    warn_once("slow", "another wording")
    said = "warning: no compiler found; the plain path is 5 times slower\nwarning: x\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(("value", "is_quiet"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_quiet_silences_notes_and_progress_but_no_warning(value, is_quiet, capsys, monkeypatch):
    monkeypatch.setenv("MODERNBERT_QUIET", value)
    say("packing")
    with progress() as bar:
        bar.update(bar.add_task("encoding", total=2), advance=1)
    assert (capsys.readouterr().err == "") is is_quiet
    warn_once("slow", "x")
    assert capsys.readouterr() == ("", "warning: x\n")


def test_a_terminal_sees_a_bar_with_the_extra_texts(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress("loss", "speed") as bar:
        task = bar.add_task("pre-training [x]", total=8)
        bar.update(task, advance=3, loss="2.31 [y]")
    shown = screen.getvalue()
    assert "pre-training [x]" in shown
    assert "3/8" in shown
    assert "2.31 [y]" in shown


def test_results_stay_on_stdout_while_a_bar_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress():
        sys.stdout.write("a result\n")
    assert capsys.readouterr().out == "a result\n"


def test_a_dumb_terminal_sees_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress() as bar:
        bar.add_task("encoding", total=2)
    assert sys.stderr.getvalue() == "encoding: 0 of 2 (0%), 0:00:00 so far\n"


def test_a_file_sees_a_plain_line_every_ten_seconds_and_one_at_the_end(capsys):
    now = [0.0]
    with Bar(("loss",), show="lines", get_time=lambda: now[0]) as bar:
        task = bar.add_task("pre-training", total=2_000)
        for step in range(36):
            now[0] = step + 1.0
            if step % 2:
                bar.advance(task, 10)
            else:
                bar.update(task, advance=10, loss=f"{9 - step / 10:.1f}")
    assert capsys.readouterr().err.splitlines() == [
        "pre-training: 100 of 2,000 (5%), 0:00:10 so far, 0:03:10 left, 8.2",
        "pre-training: 200 of 2,000 (10%), 0:00:20 so far, 0:03:00 left, 7.2",
        "pre-training: 300 of 2,000 (15%), 0:00:30 so far, 0:02:50 left, 6.2",
        "pre-training: 360 of 2,000 (18%), 0:00:36 so far, 0:02:44 left, 5.6",
    ]


def test_work_without_a_known_end_is_shown_too(capsys):
    now = [0.0]
    with Bar((), show="lines", get_time=lambda: now[0]) as bar:
        bar.update(bar.add_task("reading", total=None), advance=1_234_567)
    assert capsys.readouterr().err == "reading: 1,234,567, 0:00:00 so far\n"


def test_track_works_without_a_terminal(capsys):
    with progress() as bar:
        assert list(bar.track([1, 2, 3], description="packing")) == [1, 2, 3]
    assert capsys.readouterr().err == "packing: 3 of 3 (100%), 0:00:00 so far\n"


def test_a_crash_still_says_how_far_it_came(capsys):
    with pytest.raises(ZeroDivisionError), progress() as bar:  # noqa: PT012
        bar.update(bar.add_task("encoding", total=4), advance=1)
        1 / 0  # noqa: B018
    assert capsys.readouterr().err.startswith("encoding: 1 of 4 (25%)")


def test_ten_seconds_are_ten_seconds():
    assert _bar._SECONDS_BETWEEN_LINES == 10
