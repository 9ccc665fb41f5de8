import pytest

from modernbert.retrieval.documents.query import parse_query
from modernbert.retrieval.documents.rerank_rules import RULES, Facts, rerank

PLAIN = Facts(path="src/other.py")


def first(query, *facts):
    """The better of hits of one score, and what held of it; the expected one comes last, so that no tie helps it."""
    ranked = rerank([(str(place), 1.0) for place in range(len(facts))], facts, parse_query(query))
    return int(ranked[0].id), ranked[0].rules


CASES = {
    "defines": ("where is Store.load", Facts(path="a.py", symbol="Store.load", symbols=("Store.load",))),
    "continues": ("Store.load", Facts(path="a.py", symbol="Store.load")),
    "is called so": ("load weights", Facts(path="a.py", symbol="load_weights", symbols=("load_weights",))),
    "definition": ("/x/ other", Facts(path="src/other.py", symbol="y", symbols=("y",))),
    "path": ("tokenizer training", Facts(path="src/tokenizer/train.py")),
}


@pytest.mark.parametrize("rule", sorted(CASES))
def test_a_rule_lifts_what_it_holds_of(rule):
    query, facts = CASES[rule]
    place, held = first(query, PLAIN, facts)
    assert place == 1
    assert rule in held


@pytest.mark.parametrize(
    ("rule", "path", "asked"),
    [
        ("test", "tests/a.py", "a test of loading"),
        ("test", "src/test_a.py", "tests"),
        ("example", "examples/a.py", "an example"),
        ("old", "src/compat/a.py", "legacy"),
    ],
)
def test_tests_and_the_like_come_last_unless_they_are_asked_for(rule, path, asked):
    ranked = rerank([("t", 1.0), ("p", 1.0)], [Facts(path=path), PLAIN], parse_query("loading"))
    assert ([one.id for one in ranked], ranked[1].rules) == (["p", "t"], (rule,))
    names = {"test": "test", "tests": "test", "example": "example", "legacy": "old"}
    ranked = rerank([("t", 1.0), ("p", 1.0)], [Facts(path=path), PLAIN], parse_query(asked))
    asks_the_same = any(names.get(word) == rule for word in asked.split())
    assert (rule not in ranked[0].rules) is asks_the_same or ranked[0].id == "p"


def test_every_rule_has_a_case():
    assert {rule.name for rule in RULES} == {*CASES, "test", "example", "old"}


def test_the_definition_comes_before_its_uses_even_if_these_score_higher():
    facts = [
        Facts(path="use.py", symbol="g", symbols=("g",)),
        Facts(path="def.py", symbol="load_all", symbols=("load_all",)),
    ]
    ranked = rerank([("use", 9.0), ("def", 8.0)], facts, parse_query("load_all"))
    assert [one.id for one in ranked] == ["def", "use"]


def test_the_whole_path_of_a_name_counts_more_than_its_end():
    facts = [Facts(path="a.py", symbol=name, symbols=(name,)) for name in ("Other.load", "Store.load")]
    assert first("Store.load", *facts)[0] == 1


def test_what_no_rule_tells_apart_keeps_its_order():
    hits = [("a", 3.0), ("b", 2.0), ("c", 2.0), ("d", -1.0)]
    ranked = rerank(hits, [PLAIN] * 4, parse_query("anything"))
    assert [(one.id, one.score) for one in ranked] == [("a", 1.0), ("b", 0.75), ("c", 0.75), ("d", 0.0)]
    assert rerank([], [], parse_query("anything")) == []
