from dataclasses import replace

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.chunk import Chunking, chunk
from modernbert.retrieval.documents.context import assemble
from modernbert.retrieval.documents.document import Document

TEXT = "".join(f"Line {number} says something.\n\n" for number in range(1, 7))


def chunks(name="a", **options):
    document = Document(id=f"root/{name}", path=f"{name}.md", text=TEXT)
    return chunk(document, Chunking(size=25, small=0, **options))


def count(texts):
    return [len(text.split()) for text in texts]


def test_passages_come_with_where_they_stand():
    a, b = chunks("a"), chunks("b")
    context = assemble([b[2], a[0]], budget=1000)
    assert context.text == "[1] b.md:5\nLine 3 says something.\n\n[2] a.md:1\nLine 1 says something."
    assert [str(one) for one in context.citations] == ["[1] b.md:5", "[2] a.md:1"]
    assert context.citations[0].to_json() == {
        "number": 1, "document": "root/b", "path": "b.md", "first_line": 5, "last_line": 5,
    }  # fmt: skip
    assert (context.size, context.num_left_out) == (len(context.text), 0)


def test_neighbours_become_one_passage_in_the_place_of_the_better():
    a, b = chunks("a"), chunks("b")
    context = assemble([a[3], b[0], a[2], a[4]], budget=1000)
    assert [str(one) for one in context.citations] == ["[1] a.md:5-9", "[2] b.md:1"]


def test_what_overlaps_is_told_once():
    document = Document(id="a", path="a", text="One is here. Two is here. Three is here. Four is here. ")
    found = chunk(document, Chunking(size=30, overlap=15))
    context = assemble([found[2], found[0], found[1], found[0]], budget=1000)
    assert context.text == "[1] a:1\nOne is here. Two is here. Three is here. Four is here."


def test_a_chunk_that_does_not_fit_is_passed_over_and_counted():
    long = chunk(Document(id="l", path="l", text="word " * 50))
    context = assemble([chunks()[0], *long, chunks()[3]], budget=12, count=count)
    assert [str(one) for one in context.citations] == ["[1] a.md:1", "[2] a.md:7"]
    assert (context.size, context.num_left_out) == (12, 1)


def test_if_not_even_the_first_fits_it_is_cut_at_a_lines_end():
    (whole,) = chunk(Document(id="a", path="a", text=TEXT))
    context = assemble([whole], budget=11, count=count)
    assert str(context.citations[0]) == "[1] a:1-3"
    assert context.text.endswith("Line 2 says something.")
    assert (context.size, context.num_left_out) == (10, 1)
    assert assemble([whole], budget=1, count=count).text == ""


def test_nothing_gives_nothing():
    assert assemble([], budget=10).citations == ()


def test_a_budget_must_be_one():
    with pytest.raises(UserError, match="budget: found 0, expected at least 1: how many tokens the context may take"):
        assemble([], budget=0)


def test_a_citation_begins_where_the_shown_text_does():
    chunk_ = chunk(Document(id="a", path="a.md", text="\n\n\nLate.\n"))[0]
    whole = replace(chunk_, start=0, first_line=1, text="\n\n\nLate.\n")
    context = assemble([whole], budget=100)
    assert str(context.citations[0]) == "[1] a.md:4"
    assert context.passages == ("Late.",)
