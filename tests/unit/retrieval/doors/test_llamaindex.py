import sys

import pytest

from modernbert.core.errors import MissingExtraError
from modernbert.retrieval.doors.llamaindex import retriever
from modernbert.retrieval.search.choices import FOLDER
from modernbert.retrieval.searcher import Searcher
from support.shelf import FILES, shelf


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    home = shelf(tmp_path_factory.mktemp("shelf"))
    with Searcher.open(home / "notes" / FOLDER) as searcher:
        yield searcher


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_gives_nodes_with_scores_and_shows_a_model_the_citation_only(notes):
    pytest.importorskip("llama_index.core", reason="llama-index-core is large and in no extra of the tests")
    from llama_index.core.schema import MetadataMode

    first, second = retriever(notes, top_k=2).retrieve("who heard the bell")
    assert first.node.get_content() == FILES["notes/bell.txt"]
    assert first.score >= second.score
    cited = f"citation: [1] {first.metadata['path']}:1-2\n\n{FILES['notes/bell.txt'].strip()}"
    assert first.node.get_content(MetadataMode.LLM) == cited
    assert first.node.get_content(MetadataMode.EMBED) == FILES["notes/bell.txt"]
    (joined,) = retriever(notes, budget=200, where="path=lamps.md").retrieve("lamps")
    assert (joined.score, joined.metadata["lines"]) == (None, "1-6")


def test_without_the_library_the_extra_is_named(notes, monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_index", None)
    monkeypatch.delitem(sys.modules, "llama_index.core", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'modernbert\[llamaindex\]'"):
        retriever(notes)
