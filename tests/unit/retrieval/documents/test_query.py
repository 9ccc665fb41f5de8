import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.query import parse_query


def test_all_ways_of_asking_stand_on_one_line():
    query = parse_query('how are weights loaded /def \\w+_state/i "state_dict" Store.load')
    assert query.text == "how are weights loaded state_dict Store.load"
    assert query.literals == ("state_dict",)
    assert [(one.pattern, bool(one.flags & 2)) for one in query.patterns] == [(r"def \w+_state", True)]
    assert query.symbols == ("state_dict", "Store.load")
    assert query.is_strict


@pytest.mark.parametrize(
    "line", ["/usr/lib is a folder", "and/or", "don't \"", "1/2 of it", "a / b / c", "http://x.org/a/b", '5" disk']
)
def test_slashes_and_quotes_of_prose_are_text(line):
    query = parse_query(line)
    assert (query.text, query.is_strict) == (line, False)


@pytest.mark.parametrize(
    ("line", "symbols"),
    [
        ("loadWeights HTTPServer parse_args", ("loadWeights", "HTTPServer", "parse_args")),
        ("std::vector<int> a->b Array#map run()", ("std.vector", "a.b", "Array.map", "run")),
        ("How to load HTTP things, e.g. Weights. See it.", ()),
        ("foo_bar and foo_bar again", ("foo_bar",)),
    ],
)
def test_names_of_code_are_told_from_words(line, symbols):
    assert parse_query(line).symbols == symbols


def test_literals_mind_capitals_where_there_are_any():
    assert parse_query('"none"').accepts("returns None")
    assert not parse_query('"None"').accepts("returns none")
    assert not parse_query('"none" "else"').accepts("returns none")


def test_patterns_are_searched():
    assert parse_query("/^def f/m").accepts("x\ndef f():")
    assert not parse_query("/^def f/").accepts("x\ndef f():")
    assert parse_query(r"/a\/b/").accepts("a/b")
    assert parse_query("/a b/").text == ""


def test_evidence_is_where_words_begin():
    text = "def load_weights(path): # loading; unload"
    spans = parse_query("load path").spans(text)
    assert [text[start:end] for start, end in spans] == ["load", "path", "load"]
    assert [text[a:b] for a, b in parse_query('/p.th/ "#"').spans(text)] == ["path", "#"]


def test_a_pattern_that_cannot_be_is_said():
    with pytest.raises(UserError, match=r'/\(/: is no regular expression \(.*\): correct it, or quote it: "\("'):
        parse_query("/(/")


@pytest.mark.parametrize("line", ["", "  "])
def test_an_empty_query_is_said(line):
    with pytest.raises(UserError, match='found an empty query, expected words, "literals", /patterns/ or names: write'):
        parse_query(line)
