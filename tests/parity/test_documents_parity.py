"""Definitions against Python's own parser, ignore files against git."""

import ast
import os
import random
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.retrieval.documents.definitions import definitions
from modernbert.retrieval.documents.find import find_files

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def sample():
    found = sorted(path.relative_to(LIBRARY).as_posix() for path in LIBRARY.glob("*.py"))
    return [*random.Random(7).sample(found, 25), "contextlib.py", "threading.py"]


def told_by_python(text):
    found = set()

    def walk(node, path):
        for child in ast.iter_child_nodes(node):
            inner = path
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = [*path, child.name]
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                doc = ast.get_docstring(child) or ""
                found.add((".".join(inner), child.lineno, first, child.end_lineno, doc[:2000]))
            walk(child, inner)

    walk(ast.parse(text), [])
    return found


def is_comment(line):
    return not line.strip() or line.lstrip().startswith("#")


@pytest.mark.parametrize("name", sample())
def test_definitions_of_python_are_those_of_ast(name):
    """The same names on the same lines with the same docstrings; comments around a definition are ours to add."""
    text = (LIBRARY / name).read_text("utf-8")
    lines = text.split("\n")
    found = definitions(text, "python")
    theirs = sorted(told_by_python(text))
    assert sorted((one.symbol, one.line, one.doc) for one in found) == [(s, line, doc) for s, line, _, _, doc in theirs]
    for ours, (_, _, first, last, _) in zip(sorted(found, key=lambda d: (d.symbol, d.line)), theirs, strict=True):
        assert ours.first_line <= first
        assert all(map(is_comment, lines[ours.first_line - 1 : first - 1]))
        assert ours.last_line >= last
        assert all(map(is_comment, lines[last : ours.last_line]))


# One character is one byte in git and one letter here, so that `?` and `[!a]` stay away from é.
names = st.sampled_from(["a", "b", "c.py", "d.log", "build", "x y", "é", "#h", "!n", "[z]"])
patterns = st.sampled_from([
    "*.log", "!d.log", "build/", "/a", "a/", "!a", "a/*", "!a/c.py", "**/b", "b/**", "a/**/c.py", "# note", "", "*", "!*/", "c.*",
    "[ab]", "\\#h", "\\!n", "x\\ y", "x y ", "é", "/*/b", "!build", "c.p?", "a/b/", "[!a].py", "\\[z]", "/", "**",
])  # fmt: skip


@needs_git
@settings(deadline=None, max_examples=25)
@given(
    st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), min_size=1, max_size=12),
    st.dictionaries(
        st.sampled_from([".", "a", "a/b", "build"]), st.lists(patterns, min_size=1, max_size=4), max_size=3
    ),
)
def test_what_is_ignored_is_what_git_ignores(tmp_path_factory, files, ignored):
    root = tmp_path_factory.mktemp("git")
    for name in files:
        path = root / name
        if not any(parent.is_file() for parent in path.parents) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    for folder, lines in ignored.items():
        if (root / folder).is_dir():
            (root / folder / ".gitignore").write_text("\n".join(lines) + "\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-c", "core.quotePath=false", "-C", str(root)]
    subprocess.run([*git, "init", "-q"], check=True, env=environment)
    told = subprocess.run(
        [*git, "ls-files", "-z", "-o", "--exclude-standard"], check=True, env=environment, capture_output=True
    )
    theirs = {name for name in told.stdout.decode().split("\0") if name and not name.endswith(".gitignore")}
    found = find_files([root])
    ours = {os.path.relpath(file.path, root) for file in found.files}
    ours |= {os.path.relpath(one.path, root) for one in found.skipped if one.reason == "of another kind"}
    assert ours == theirs
