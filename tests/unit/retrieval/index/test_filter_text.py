"""Filters as they are typed."""

import pytest

from modernbert.core.errors import ConfigError
from modernbert.retrieval.index.filter_text import read_filter
from modernbert.retrieval.index.filters import And, AnyOf, Equal, Glob, Not, Or, Prefix, Range


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ("path=src/*", Glob("path", "src/*")),
        ("lang=py", Equal("lang", "py")),
        ("lang = py, rs", AnyOf("lang", ("py", "rs"))),
        ("n=2", AnyOf("n", ("2", 2))),
        ("n=-2.5", AnyOf("n", ("-2.5", -2.5))),
        ("draft=true", AnyOf("draft", ("true", True))),
        ('n="2"', Equal("n", "2")),
        ('title="a, b or *"', Equal("title", "a, b or *")),
        ("path=a.py,b/*", Or((Glob("path", "b/*"), Equal("path", "a.py")))),
        ("year>=2020", Range("year", at_least=2020)),
        ("year<2024.5", Range("year", below=2024.5)),
        ("path^=src/", Prefix("path", "src/")),
        ("lang!=py", Not(Equal("lang", "py"))),
        ("not lang=py", Not(Equal("lang", "py"))),
        ("not lang!=py", Equal("lang", "py")),
        ("lang=py or lang=rs", Or((Equal("lang", "py"), Equal("lang", "rs")))),
        (["lang=py", "n>1"], And((Equal("lang", "py"), Range("n", above=1)))),
        ({"path": "src/*", "n": 2, "draft": True}, And((Glob("path", "src/*"), Equal("n", 2), Equal("draft", True)))),
        ({"lang": ["py", "rs"]}, AnyOf("lang", ("py", "rs"))),
        (Equal("a", 1), Equal("a", 1)),
    ],
    ids=str,
)
def test_it_is_read(written, meant):
    assert read_filter(written) == meant


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("src", "found 'src', expected FIELD=VALUE, or one of != "),
        ("=x", "found '=x', expected FIELD=VALUE"),
        ("year>new", "'year>new' compares with 'new', expected a number"),
        ('a="b"c"', "cannot read the quotes in"),
    ],
)
def test_what_cannot_be_read_is_said(written, complaint):
    with pytest.raises(ConfigError, match=complaint):
        read_filter(written)
