"""What the language of filters means."""

import pytest

from modernbert.core.errors import ConfigError
from modernbert.retrieval.index.filters import And, AnyOf, Equal, Glob, Not, Or, Prefix, Range, facet, matches

ROW = {"path": "src/a.py", "n": 3, "draft": False, "tags": ["x", 2, None], "file": {"size": 10.5}, "none": None}


@pytest.mark.parametrize(
    "where",
    [
        Equal("path", "src/a.py"), Equal("n", 3.0), Equal("draft", False), Equal("tags", 2), Equal("file.size", 10.5),
        AnyOf("n", (1, 3)), Range("n", at_least=3), Range("n", above=2, below=4), Range("tags", at_most=2),
        Prefix("path", "src/"), Glob("path", "*.py"), Glob("path", "src/[ab].??"), Not(Equal("none", 1)),
        And((Equal("n", 3), Not(Equal("n", 4)))), Or((Equal("n", 4), Equal("n", 3))), Prefix("path", ""),
    ],
    ids=repr,
)  # fmt: skip
def test_it_fits(where):
    assert matches(where, ROW)


@pytest.mark.parametrize(
    "where",
    [
        Equal("path", "src"), Equal("n", "3"), Equal("n", True), Equal("draft", 0), Equal("none", "None"), Equal("missing", 1),
        AnyOf("tags", ("y", 3)), Range("n", above=3), Range("path", at_least=0), Range("draft", at_least=0),
        Prefix("n", "3"), Glob("path", "*.PY"), Glob("path", "a.py"), Equal("file", 10.5), Not(Prefix("path", "src")),
    ],
    ids=repr,
)  # fmt: skip
def test_it_does_not_fit(where):
    assert not matches(where, ROW)


def test_facets_are_equal_exactly_where_values_are():
    values = [1, 1.5, True, "1", "true", "", 2**53, 2**53 + 1, 10**400, "x" * 200, "x" * 201, "x" * 202]
    assert len({facet("f", value) for value in values}) == len(values)
    assert facet("f", 1) == facet("f", 1.0)
    assert facet("f", 0.0) == facet("f", -0.0)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: AnyOf("f", ()), "filter on 'f': any of no values fits nothing"),
        (lambda: And(()), "filter: 'and' of nothing; leave the filter out"),
        (lambda: Or(()), "filter: 'or' of nothing fits nothing"),
        (lambda: Range("f"), "filter on 'f': a range without a bound fits every number"),
        (lambda: Range("f", above=float("nan")), "found the bound nan, expected a finite number"),
    ],
)
def test_filters_that_cannot_be_meant_are_refused(make, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make()
