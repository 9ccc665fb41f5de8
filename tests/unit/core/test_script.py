"""How scripts end."""

from pathlib import Path

import pytest

from modernbert.core.errors import ConfigError
from modernbert.core.script import as_script

ROOT = Path(__file__).resolve().parents[3]


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("main", "code", "told"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (lambda: _raise(ConfigError("lr is 0, expected above 0")), 2, "error: lr is 0, expected above 0\n"),
        (lambda: _raise(KeyboardInterrupt), 130, "stopped\n"),
    ],
)
def test_a_script_ends_with_a_code_and_a_sentence(main, code, told, capsys):
    with pytest.raises(SystemExit) as end:
        as_script(main)
    assert (end.value.code, capsys.readouterr().err) == (code, told)


def test_a_fault_of_ours_keeps_its_backtrace():
    with pytest.raises(ZeroDivisionError):
        as_script(lambda: 1 // 0)


SCRIPTS = [
    path
    for path in sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("models/nano/*.py")])
    if '__name__ == "__main__"' in path.read_text()
    and path.name != "rival_server.py"  # which runs where we are not installed
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_end_as_the_command_line_does(path):
    assert path.read_text().endswith("    as_script(main)\n")
