import asyncio
import sys

import pytest

from modernbert.core.errors import MissingExtraError
from modernbert.retrieval.doors.langchain import retriever
from modernbert.retrieval.search.choices import FOLDER
from modernbert.retrieval.searcher import Searcher
from support.shelf import FILES, shelf


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    home = shelf(tmp_path_factory.mktemp("shelf"), store="edge")
    with Searcher.open(home / "notes" / FOLDER) as searcher:
        yield searcher


def test_it_is_a_runnable_that_gives_documents(notes):
    pytest.importorskip("langchain_core")
    from langchain_core.runnables import RunnableLambda

    chain = retriever(notes, top_k=2) | RunnableLambda(lambda found: [one.metadata["citation"] for one in found])
    (first, second) = retriever(notes, top_k=2).invoke("who heard the bell")
    assert first.page_content == FILES["notes/bell.txt"]
    assert first.metadata["score"] >= second.metadata["score"]
    assert chain.invoke("who heard the bell")[0] == f"[1] {first.metadata['path']}:1-2"


def test_it_answers_from_other_threads(notes):
    pytest.importorskip("langchain_core")
    found = asyncio.run(retriever(notes, budget=200, where="path=lamps.md").ainvoke("lamps"))
    assert found[0].metadata["lines"] == "1-6"
    assert "score" not in found[0].metadata


def test_without_the_library_the_extra_is_named(notes, monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    with pytest.raises(
        MissingExtraError, match=r"'langchain_core' is not installed .* pip install 'modernbert\[langchain\]'"
    ):
        retriever(notes)
