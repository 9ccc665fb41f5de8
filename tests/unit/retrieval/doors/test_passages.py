from pathlib import Path

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.doors.passages import Asking
from modernbert.retrieval.search.choices import FOLDER
from modernbert.retrieval.searcher import Searcher
from modernbert.text.tokenizer import Tokenizer
from support.shelf import FILES, model, put, shelf


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    home = shelf(tmp_path_factory.mktemp("shelf"))
    put(home / "notes" / "long.txt", "".join(f"\n\nThe sea was calm on day {day}." for day in range(300)))
    with Searcher.open(home / "notes" / FOLDER) as searcher:
        searcher.refresh()
        yield searcher


def test_a_chunk_comes_with_where_it_stands_and_how_well_it_fits(notes):
    first, *_ = Asking(top_k=3)(notes, "nobody heard the bell")
    path = first.metadata["path"]
    assert first.text == FILES["notes/bell.txt"]
    assert first.metadata == {
        "path": path, "first_line": 1, "last_line": 2, "lines": "1-2", "citation": f"[1] {path}:1-2",
        "score": first.score, "kind": "prose", "symbol": "",
    }  # fmt: skip


def test_a_filter_holds_with_and_without_a_budget(notes):
    for asking in (Asking(where="path=*.md"), Asking(where="path=*.md", budget=300)):
        assert [str(one.metadata["path"]).rpartition("/")[2] for one in asking(notes, "bell")] == ["lamps.md"]


@pytest.mark.parametrize("budget", [1, 40, 90, 200, 500])
def test_a_budget_holds_for_texts_and_citations_and_lines_are_those_that_are_cited(notes, budget):
    tokenizer = Tokenizer.load(model())
    found = Asking(budget=budget)(notes, "calm sea")
    whole = "\n\n".join(f"{one.metadata['citation']}\n{one.text}" for one in found)
    assert len(tokenizer.encode([whole], special=False, literal=True).ids[0]) <= budget
    assert bool(found) == (budget >= 90)
    for one in found:
        rows = Path(str(one.metadata["path"])).read_text(encoding="utf-8").split("\n")
        if not one.metadata["path"].endswith(".jsonl"):
            shown = rows[one.metadata["first_line"] - 1 : one.metadata["last_line"]]
            assert "\n".join(shown).rstrip() == one.text.rstrip()


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(UserError, match="retriever: found top_k=0, budget=None, expected 1 or more"):
        Asking(top_k=0)
    with pytest.raises(UserError, match="found top_k=10, budget=0"):
        Asking(budget=0)
