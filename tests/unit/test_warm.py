"""The Python that tests start programs with is the Python that users have, but for the waiting."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.waiting import until
from support.warm import warm_python

TELLS = (
    "import json, os, sys; told = [sys.argv, sys.path[0], os.getcwd(), os.environ['MARK'], sys.stdin.read(), __name__];"
    "json.dump(told, sys.stdout); sys.stderr.write('aside')"
)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no system to fork on")
def test_what_it_needs_is_there_already():
    code = "import sys; sys.exit(len({'torch', 'tokenizers'} & set(sys.modules)))"
    assert subprocess.run([warm_python("tokenizers"), "-c", code]).returncode == 2


@pytest.mark.parametrize(
    "words",
    [["-c", TELLS, "a", "--b"], ["tell.py", "a b", "é"], ["-m", "tell", "\udcff"]],
    ids=["code", "script", "module"],
)
def test_a_program_sees_what_it_would_see_of_another_python(words, tmp_path):
    (tmp_path / "tell.py").write_text(TELLS)
    said = [
        subprocess.run(
            [python, *words], cwd=tmp_path, env=os.environ | {"MARK": "here"}, input=b"given", capture_output=True
        )
        for python in (warm_python(), sys.executable)
    ]
    assert (said[0].returncode, said[0].stdout, said[0].stderr) == (0, said[1].stdout, said[1].stderr)
    assert json.loads(said[0].stdout)[2:] == [str(tmp_path), "here", "given", "__main__"]


@pytest.mark.parametrize(
    ("code", "stderr"),
    [
        ("import sys; sys.exit(3)", ""),
        ("import sys; sys.exit('a reason')", "a reason\n"),
        ("raise ValueError('a mistake')", "ValueError: a mistake\n"),
        ("import os; os.kill(os.getpid(), 9)", ""),
        ("import atexit; atexit.register(print, 'last'); print('first')", ""),
    ],
)
def test_a_program_ends_as_it_would_with_another_python(code, stderr):
    warm, cold = (
        subprocess.run([python, "-c", code], capture_output=True, text=True)
        for python in (warm_python(), sys.executable)
    )
    assert (warm.returncode, warm.stdout) == (cold.returncode, cold.stdout)
    assert warm.stderr.endswith(stderr)
    assert cold.stderr.endswith(stderr)


def test_a_program_ends_with_who_asked_for_it():
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen([warm_python(), "-c", code], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout
        number = int(asking.stdout.readline())
        asking.send_signal(signal.SIGTERM)
    until(lambda: not _is_there(number))


def _is_there(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
