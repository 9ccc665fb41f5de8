import subprocess
import sys

import pytest

from modernbert.infer.few import MOST_CHARACTERS, MOST_TEXTS, are_few

SPY = """
import os, sys
from modernbert.infer import few
class Spy:
    def find_spec(self, name, *rest):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_NUM_THREADS"))
sys.meta_path.insert(0, Spy())
few.begin({texts})
print("numpy" in sys.modules, os.environ.get("OPENBLAS_NUM_THREADS"))
"""


def test_few_texts_are_counted_by_number_and_characters():
    assert are_few([])
    assert are_few(["a"] * MOST_TEXTS)
    assert not are_few(["a"] * (MOST_TEXTS + 1))
    assert are_few([("a" * (MOST_CHARACTERS - 1), "b")])
    assert not are_few([("a" * MOST_CHARACTERS, "b")])


@pytest.mark.parametrize(
    ("texts", "said", "printed"),
    [
        ("['a']", {}, "1\nTrue None\n"),
        ("['a']", {"OPENBLAS_NUM_THREADS": "2"}, "False 2\n"),
        ("['a']", {"OMP_NUM_THREADS": "2"}, "False None\n"),
        ("['a'] * 300", {}, "False None\n"),
    ],
)
def test_numpy_begins_with_one_thread_for_few_texts_unless_told_otherwise(texts, said, printed, monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", SPY.format(texts=texts)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (printed, "")
