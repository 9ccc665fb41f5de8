"""Each rule at its bound, their order, and what is reported."""

import json

import pytest

from modernbert.core.errors import ConfigError, UserError
from modernbert.data.config import Filters
from modernbert.data.filters import keep
from modernbert.data.sources import Document

PROSE = "The keeper counted the ships of the year, and all of them but one answered his light."
CHINESE = "我能吞下玻璃而不伤身体灯台之光甚白我能吞下玻璃而不伤身体"


def run(texts, **settings):
    """Numbers of the texts that stay, and the reasons for the others."""
    why = {}
    documents = [Document(str(number), text, "made up") for number, text in enumerate(texts)]
    kept = keep(documents, Filters(**settings), dropped=lambda document, reason: why.update({int(document.id): reason}))
    return [int(document.id) for document in kept], why


def test_without_settings_empty_documents_and_exact_duplicates_go():
    assert run(["one", " \n", "two", "one"]) == (
        [0, 2],
        {1: "length: 0 characters, expected 1 or more", 3: "exact duplicate: of one before"},
    )


CASES = {
    "length": (
        {"at_least": 3, "at_most": 5},
        [" abc ", "ab", "abcde", "abcdef"],
        {1: "length: 2 characters, expected 3 or more", 3: "length: 6 characters, expected 5 or fewer"},
    ),
    "letters": (
        {"least_letters": 0.5},
        ["ab 12", "ab 123", "字字--", "नमस्ते 12", "12"],
        {1: "letters: a share of 0.40, expected 0.5 or more", 4: "letters: a share of 0.00, expected 0.5 or more"},
    ),
    "repeated lines": (
        {"most_repeated": 0.5},
        ["a\n a \n\n", "a\na\na", "a\nb\n\n\n", "one"],
        {1: "repeated lines: a share of 0.67, expected 0.5 or less"},
    ),
    "word length": (
        {"word_length": (3, 10)},
        [PROSE, "a b c d", "abcdefghijk " * 3, CHINESE, "한국어는 띄어쓰기를 합니다"],
        {
            1: "word length: 1.0 on average, expected 3 to 10",
            2: "word length: 11.0 on average, expected 3 to 10",
        },
    ),
    "script": (
        {"scripts": ("Latin", "Greek"), "script_share": 0.8},
        [PROSE, "abcdα", "abcdя", "abcяя", CHINESE, "123"],
        {
            3: "script: a share of 0.60 of the letters is Latin or Greek, expected 0.8 or more",
            4: "script: a share of 0.00 of the letters is Latin or Greek, expected 0.8 or more",
            5: "script: a share of 0.00 of the letters is Latin or Greek, expected 0.8 or more",
        },
    ),
    "exact duplicate": (
        {},
        ["caf\u00e9 noir", " cafe\u0301  noir\n", "Caf\u00e9 noir", "caf\u00e9noir"],
        {1: "exact duplicate: of one before"},
    ),
    "language": (
        {"languages": ("en", "zh")},
        [PROSE, CHINESE, "Der Leuchtturm steht noch, und die Straße führt über die Dünen zum Hafen."],
        {2: "language: de, expected en or zh"},
    ),
    "near duplicate": (
        {"near_duplicates": 0.8},
        [PROSE * 3, "other", (PROSE * 3).upper()],
        {2: "near duplicate: of 0"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_rule_drops_what_is_past_its_bound_and_says_why(name):
    settings, texts, reasons = CASES[name]
    kept, why = run(texts, **settings)
    assert why == reasons
    assert kept == [number for number in range(len(texts)) if number not in reasons]


def test_duplicates_stay_when_they_are_wanted():
    assert run(["one", "one"], exact_duplicates=False) == ([0, 1], {})


def test_text_of_a_test_set_goes(tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps({"id": "q7", "question": PROSE}))
    kept, why = run(["fine", f"Copied: {PROSE}"], test_sets=(str(path),), test_field="question")
    assert kept == [0]
    assert why == {1: "test set: 13 words in a row, or a whole text, of q7"}


def test_a_test_set_that_cannot_be_read_stops_before_the_first_document():
    with pytest.raises(UserError, match=r"none\.jsonl: there is no such file"):
        keep(iter([]), Filters(test_sets=("none.jsonl",)), dropped=lambda document, reason: None)


def test_a_document_that_is_dropped_is_nobodys_first_copy(tmp_path):
    """The test set comes before near duplicates, so the near copy of what it drops stays."""
    path = tmp_path / "test.txt"
    path.write_text(PROSE)
    far = "Of this nobody wrote a word in the book until the spring, when the paper came at last with the mail. " * 2
    texts = [PROSE + far, far]
    assert run(texts, near_duplicates=0.5)[0] == [0]
    assert run(texts, near_duplicates=0.5, test_sets=(str(path),))[0] == [1]


def test_documents_stream():
    def endless():
        number = 0
        while True:
            yield Document(str(number), f"text {number}", "made up")
            number += 1

    kept = keep(endless(), Filters(near_duplicates=0.8), dropped=lambda document, reason: None)
    assert [next(kept).id for _ in range(3)] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"at_least": -1}, r"at_least is -1 and at_most None: no document is left; expected 0 or more"),
        ({"at_least": 9, "at_most": 8}, r"at_least is 9 and at_most 8: no document is left"),
        ({"least_letters": 1.5}, r"least_letters is 1\.5, expected a share from 0 to 1"),
        ({"near_duplicates": -0.1}, r"near_duplicates is -0\.1, expected a share from 0 to 1"),
        ({"near_duplicates": 0.1}, r"near_duplicates is 0\.1, expected 0\.3 or more: less is no likeness"),
        ({"word_length": (5, 3)}, r"word_length is \(5, 3\), expected the least and the most, such as \[3, 10\]"),
        ({"scripts": ("Latn",)}, r"scripts: found 'Latn', expected one of Arabic, .*Latin"),
        ({"overlap": 0}, r"overlap is 0, expected 1 word or more; GPT-3's is 13"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Filters(**settings)
