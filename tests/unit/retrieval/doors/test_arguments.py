import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.doors.arguments import Argument, checked, schema_of

ARGUMENTS = {
    "query": Argument(about="What.", is_required=True),
    "top_k": Argument(about="How many.", default=5, least=1, most=50),
    "mode": Argument(about="How.", default="both", choices=("both", "words")),
    "where": Argument(about="Where.", many=True),
}


def test_a_schema_says_what_is_checked():
    assert schema_of(ARGUMENTS) == {
        "type": "object",
        "required": ["query"],
        "additionalProperties": False,
        "properties": {
            "query": {"description": "What.", "type": "string"},
            "top_k": {"description": "How many.", "type": "integer", "minimum": 1, "maximum": 50, "default": 5},
            "mode": {"description": "How.", "type": "string", "enum": ["both", "words"], "default": "both"},
            "where": {"description": "Where.", "type": ["string", "array"], "items": {"type": "string"}},
        },
    }


def test_what_is_absent_or_null_has_its_default():
    given = {"query": "x", "mode": None, "where": ["a=b", "c=d"]}
    assert checked("search", ARGUMENTS, given) == {"query": "x", "top_k": 5, "mode": "both", "where": ["a=b", "c=d"]}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "search: query is missing, expected text that is not empty"),
        ({"query": " "}, "search: query: found ' ', expected text that is not empty"),
        ({"query": "x", "topk": 3}, "search: no such argument 'topk'; did you mean 'top_k'?"),
        ({"query": "x", "zzz": 3}, "search: no such argument 'zzz'; expected query, top_k, mode, where"),
        ({"query": "x", "top_k": True}, "search: top_k: found True, expected a whole number from 1 to 50"),
        ({"query": "x", "top_k": 51}, "search: top_k: found 51, expected a whole number from 1 to 50"),
        ({"query": "x", "mode": "late"}, "search: mode: found 'late', expected both or words"),
        ({"query": "x", "where": [1]}, r"search: where: found \[1\], expected text or a list of texts"),
    ],
)
def test_what_does_not_fit_is_one_sentence(given, sentence):
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        checked("search", ARGUMENTS, given)
