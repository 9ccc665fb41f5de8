import asyncio
import sys

import pytest

from modernbert.core.errors import MissingExtraError
from modernbert.retrieval.doors.mcp import server
from modernbert.retrieval.doors.repository import Repository, folders_of
from support.shelf import shelf


@pytest.fixture
def repository(tmp_path):
    ((name, folder),) = folders_of([shelf(tmp_path) / "notes"]).items()
    with Repository(name, folder) as repository:
        yield repository


def ask(repository, *calls):
    from mcp import Client

    async def talk():
        async with Client(server([repository])) as client:
            tools = (await client.list_tools()).tools
            return tools, [await client.call_tool(*call) for call in calls]

    return asyncio.run(talk())


def test_tools_are_described_and_answer(repository):
    tools, (found, context) = ask(
        repository, ("search", {"query": "bell", "mode": "lexical"}), ("context", {"query": "bell", "budget": 300})
    )
    assert [tool.name for tool in tools] == ["search", "context", "read", "refresh", "list_indexes"]
    assert tools[0].input_schema["required"] == ["query"]
    assert [tool.annotations.read_only_hint for tool in tools] == [True, True, True, False, True]
    assert not found.is_error
    assert found.content[0].text.endswith("bell.txt:1-2\n1  In winter\n2  nobody heard the bell.")
    assert "[1] " in context.content[0].text


def test_mistakes_and_bugs_are_one_sentence_each(repository, monkeypatch, capsys):
    def fails(*_, **__):
        raise RuntimeError("the\nsea")

    monkeypatch.setattr(repository.searcher, "search", fails)
    _, answers = ask(repository, ("search", {"query": "x"}), ("search", {}), ("find", {}), ("read", {"path": "../x"}))
    assert all(answer.is_error for answer in answers)
    assert [answer.content[0].text for answer in answers] == [
        "search: failed with RuntimeError: the sea: this is a bug of modernbert, please report it",
        "search: query is missing, expected text that is not empty",
        "'find': no such tool, expected one of search, context, read, refresh, list_indexes",
        "../x: no index has such a file, expected a path as search gives it: search first",
    ]
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtraError, match=r"'mcp' is not installed .* pip install 'modernbert\[mcp\]'"):
        server([])
