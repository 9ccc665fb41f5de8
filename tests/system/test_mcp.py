"""`modernbert mcp` as an assistant starts it: a process of its own, asked by the protocol's own client."""

import asyncio
import os
import subprocess
import sys

import pytest

from modernbert.cli.main import main
from modernbert.retrieval.doors.repository import Repository, folders_of
from support.shelf import shelf


def test_an_assistant_searches_and_reads(tmp_path):
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    home, log = shelf(tmp_path, store="edge"), tmp_path / "log"
    env = {name: os.environ[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ}
    words = ["-m", "modernbert.cli.main", "mcp", str(home / "notes"), str(home / "code")]
    (home / "notes" / "lamps.md").unlink()
    calls = [
        ("search", {"query": "heard the bell", "mode": "lexical", "top_k": 1}),
        ("read", {"path": "notes/bell.txt", "last_line": 1}),
        ("read", {"path": f"{home}/notes/../../passwd"}),
        ("list_indexes", {}),
    ]

    async def talk():
        started = StdioServerParameters(command=sys.executable, args=words, env=env)
        async with Client(stdio_client(started, errlog=errors)) as client:
            return [await client.call_tool(*call) for call in calls]

    with log.open("w") as errors:
        found, read, outside, indexes = asyncio.run(talk())
    assert found.content[0].text == f"[notes] {home}/notes/bell.txt:1-2\n1  In winter\n2  nobody heard the bell."
    assert read.content[0].text == f"{home}/notes/bell.txt:1-1 of 2 lines\n1  In winter"
    assert outside.is_error
    assert indexes.content[0].text == f"notes: 3 chunks of documents in {home}/notes", "what is gone is forgotten"
    assert log.read_text().startswith("notes: 4 chunks of documents in ")
    assert "Traceback" not in log.read_text()
    with Repository("notes", folders_of([home / "notes"])["notes"]) as after:
        assert after.owner is None, "the server let go of its folder"


def test_nothing_but_the_protocol_is_on_stdout(tmp_path):
    home = shelf(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "modernbert.cli.main", "mcp", home / "notes"], input=b"no JSON\n", capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mcp"], "found no .modernbert-index here or above: make one with  modernbert index PATH"),
        (["mcp", "docs"], "docs: found no index: make one with  modernbert index PATH"),
        (["mcp", "docs", "--room", "9"], "--room 9: expected 100 tokens or more"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
