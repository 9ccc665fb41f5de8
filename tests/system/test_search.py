"""`modernbert index` and `modernbert search`, as a stranger would use them."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from modernbert.cli.main import main
from support.demonstration import modernbert
from support.retrieval import write_model

LONG_AGO = 10**18
KILLED_AT_THE_SECOND_BATCH = textwrap.dedent("""
    import os, signal
    from modernbert.cli.main import main
    from modernbert.retrieval.search import renew
    from modernbert.retrieval.search.encoders import Encoders

    renew.AT_ONCE, real, calls = 1, Encoders.documents, []

    def documents(self, texts):
        calls.append(texts)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, texts)

    Encoders.documents = documents
    main(["index", "docs", "--model", "model"])
""")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def home(tmp_path, model, monkeypatch):
    (tmp_path / "model").symlink_to(model)
    _put(tmp_path / "docs" / "lamps.md", "# Lamps\n\nThe keeper painted seven lamps.\n")
    _put(tmp_path / "docs" / "sub" / "bell.txt", "In winter\nnobody heard the bell.\n")
    _put(tmp_path / "docs" / "empty.txt", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_beside_whoever_owns_the_index_its_last_commit_is_searched(home, capsys):
    from modernbert.retrieval.searcher import Searcher

    main(["index", "docs", "--model", "model"])
    capsys.readouterr()
    _put(home / "docs" / "new.txt", "Seven herons stood there.")
    with Searcher.open(home / ".modernbert-index"):
        main(["search", "keeper of lamps", "--mode", "lexical", "--json"])
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[0])["path"].endswith("lamps.md")
    assert "read-only, as of the last commit; it is in use by process" in said.err


def _put(path, text, when=LONG_AGO):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(when, when))


def _rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_two_commands_from_a_folder_to_its_lines(home):
    done = modernbert("index", "docs", "--model", "model", cwd=home)
    assert done.returncode == 0, done.stderr.decode()
    first, second = done.stdout.decode().splitlines()
    assert first == "2 files: 2 added, 0 changed, 0 moved, 0 removed, 0 as they were; left out 1: 1 empty"
    assert second.startswith(".modernbert-index: 2 chunks, 2 encoded in ")
    found = modernbert("search", "who heard the bell", "--top-k", "1", cwd=home / "docs" / "sub")
    assert found.stdout.decode() == "bell.txt:1\n1  In winter\n2  nobody heard the bell.\n", found.stderr.decode()
    assert "2 files: 0 added, 0 changed, 0 moved, 0 removed, 2 as they were" in found.stderr.decode()


def test_what_changed_is_read_before_the_answer(home, capsys):
    assert main(["index", "docs", "--model", "model", "--store", "exact", "--json"]) == 0
    report = _rows(capsys)[0]
    assert (report["added"], report["num_chunks"], report["chunks_encoded"]) == (2, 2, 2)
    _put(home / "docs" / "sub" / "bell.txt", "Every gull described the fog.\n", LONG_AGO + 1)
    assert main(["search", "gull", "--json", "--where", "path=sub/*"]) == 0
    said = capsys.readouterr()
    assert "1 changed, 0 moved, 0 removed, 1 as they were; left out 1: 1 empty; 1 chunks encoded" in said.err
    (row,) = map(json.loads, said.out.splitlines())
    assert row["path"] == str(home / "docs" / "sub" / "bell.txt")
    assert row["snippet"]["lines"][0] == {"number": 1, "text": "Every gull described the fog.", "spans": [[6, 10]]}
    assert main(["search", '"no such words"', "--no-refresh"]) == 0
    assert "found nothing for" in capsys.readouterr().err
    assert main(["search", "gull", "--context", "300", "--json"]) == 0
    context = _rows(capsys)[0]
    assert context["size"] <= 300
    assert context["citations"][0]["first_line"] == 1
    assert main(["search", "gull", "-v", "--mode", "lexical"]) == 0
    assert "(lexical " in capsys.readouterr().out


def test_what_kill_left_undone_is_done_the_next_time(home, capsys):
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KILLED_AT_THE_SECOND_BATCH], cwd=home, env=env, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert main(["search", "bell", "--json"]) == 0
    said = capsys.readouterr()
    assert "; 1 chunks encoded" in said.err
    assert {os.path.basename(json.loads(line)["path"]) for line in said.out.splitlines()} == {"lamps.md", "bell.txt"}


def test_repositories_are_cut_at_definitions_and_a_new_model_needs_rebuild(home, capsys):
    _put(home / "repo" / "store.py", "class Store:\n    def save_all(self):\n        pass\n")
    assert main(["index", "repo", "--code", "--model", "model", "--store", "exact", "--out", "code"]) == 0
    assert main(["search", "save_all", "--in", "code", "--json"]) == 0
    capsys.readouterr()
    write_model(home / "other", intermediate_size=96)
    assert main(["index", "repo", "--model", "other", "--out", "code"]) == 2
    assert "index anew with --rebuild, or use the first" in capsys.readouterr().err
    assert main(["index", "--model", "no-such-model", "--out", "code", "--rebuild"]) == 2
    assert "neither a packaged model" in capsys.readouterr().err
    assert (home / "code" / "settings.json").is_file()
    assert main(["index", "--model", "other", "--out", "code", "--rebuild", "--json"]) == 0
    assert _rows(capsys)[0]["chunks_encoded"] == 1
    assert main(["search", "save_all", "--in", "code", "--json"]) == 0
    (row,) = _rows(capsys)
    assert (row["kind"], row["path"]) == ("class", str(home / "repo" / "store.py"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search", "x"], "found no .modernbert-index here or above: make one with  modernbert index PATH"),
        (["search", "x", "--in", "docs"], "docs: found no index: make one"),
        (["search", "/(/"], "/(/: is no regular expression"),
        (["search", "x", "--context", "9", "--where", "a=b"], "--context: takes no --where and no --mode"),
        (["index"], "found no index and no paths, expected files or folders: name what to index"),
        (["index", "gone", "--model", "model"], "gone: there is no such file or folder"),
        (["index", "docs", "--store", "faiss"], "--store faiss: expected edge, exact or"),
        (["index", "docs", "--model", "model", "--rebuild", "--out", "docs"], "this is no index of ours"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence(home, capsys, words, sentence):
    assert main(words) == 2
    assert sentence in capsys.readouterr().err
