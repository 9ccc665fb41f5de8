"""The code search benchmark, small: docstrings leave the files and nothing else does, and words find functions."""

import ast
import sys
from pathlib import Path

from support.retrieval import write_model

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

SOURCE = '''"""A module."""
import os


class Lamp:
    """Of the tower."""

    def light(self, oil):
        """Set the lamp on fire.

        Careful.
        """
        x = oil + 1
        return x

    def dark(self):
        """Nothing but words."""


def plain(): "on one line"
'''


def test_docstrings_are_taken_out_and_code_is_not():
    import code_search

    text, docstrings = code_search.without_docstrings(SOURCE)
    assert docstrings == ["on one line", "Set the lamp on fire.", "Nothing but words."]
    assert '"""' not in text
    assert "        x = oil + 1\n        return x\n" in text
    assert [node.name for node in code_search._definitions(ast.parse(text))] == ["plain", "light", "dark"]
    assert code_search.without_docstrings("not python at all") is None


def test_questions_are_answered_by_the_chunk_that_holds_the_function(tmp_path, capsys):
    import code_search

    model = write_model(tmp_path / "model")
    code_search.main(["--models", str(model), "--files", "6", "--queries", "25", "--no-write"])
    lines = capsys.readouterr().out.splitlines()
    words, dense, hybrid = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:5])
    assert words[0] == "words (BM25)"
    assert 0.1 < float(words[1]) <= float(words[3]) <= float(words[4]) <= 1
    assert (dense[0][:7], hybrid[0][:8]) == ("dense, ", "hybrid, ")
    files, chunks = (int(cell.replace(",", "")) for cell in lines[-1].split("|")[2:4])
    assert 1 <= files <= 6
    assert chunks >= files
