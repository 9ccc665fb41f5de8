"""What counts as a copy of a test document, and what does not."""

import pytest

from modernbert.data.decontamination import TestSets
from modernbert.data.shingles import words

TEST = (
    "When the supply ship was late, which happened in most winters, she read the same seven labels again,"
    " and when it was not late she read the papers of the ship."
)
RUN = "ship was late which happened in most winters she read the same seven"  # 13 words of it


def find(documents, text, **options):
    return TestSets(documents, **options).find(words(text))


@pytest.mark.parametrize(
    "text",
    [TEST, f"Quoted: {RUN}!", RUN.upper(), RUN.replace(" ", "\n")],
    ids=["whole", "a run", "capitals", "white space"],
)
def test_thirteen_words_in_a_row_give_a_document_away(text):
    assert find([("other", "some other text " * 9), ("test", TEST)], text) == "test"


def test_twelve_words_in_a_row_do_not():
    assert find([("test", TEST)], f"Quoted: {RUN.removeprefix('ship ')} it") is None
    assert find([("test", TEST)], f"Quoted: {RUN.removeprefix('ship ')} it", overlap=12) == "test"


def test_a_test_document_of_eight_to_twelve_words_is_found_as_a_whole():
    short = "she read the same seven labels again tonight"
    assert find([("short", short)], f"and then {short} by the lamp") == "short"
    assert find([("short", short)], "she read the same seven labels again") is None


def test_test_documents_of_all_lengths_are_found_in_any_order():
    short = "she read the same seven labels again tonight"
    tests = [("long", TEST), ("short", short), ("label", "a good ship")]
    for known in (tests, tests[::-1]):
        assert [find(known, text) for text in (TEST, f"then {short} again", "A good ship")] == [
            "long",
            "short",
            "label",
        ]


def test_a_shorter_one_only_where_it_is_all_there_is():
    assert find([("label", "a good ship")], "A good ship.") == "label"
    assert find([("label", "a good ship")], "It was a good ship.") is None


def test_scripts_without_spaces_are_compared_by_characters():
    test = "吾輩は猫である。名前はまだ無い。どこで生れたか"
    assert find([("cat", test)], "彼は言った「猫である。名前はまだ無い。どこ」と") == "cat"
    assert find([("cat", test)], "猫である。名前はまだ") is None


def test_the_first_of_two_test_documents_is_named():
    assert find([("one", TEST), ("two", TEST)], TEST) == "one"


@pytest.mark.parametrize("text", ["", "?!", "one"])
def test_nothing_is_found_in_nothing(text):
    assert find([("test", TEST), ("empty", ""), ("signs", "?!")], text) is None
    assert find([], TEST) is None
