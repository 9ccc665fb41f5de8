import pytest

from modernbert.core.errors import UserError
from modernbert.text.clean import checked, find_surrogate, without_layout
from support.texts import NASTY


def test_valid_text_passes_unchanged_and_in_order():
    assert list(checked(NASTY.values())) == list(NASTY.values())


def test_texts_are_read_only_as_far_as_they_are_asked_for():
    texts = checked(iter(["fine", "\ud800"]))
    assert next(texts) == "fine"


@pytest.mark.parametrize(
    ("text", "place"), [("\ud800", 0), ("ab\udfff", 2), ("😀\udc80x", 1), ("ok", None), ("\U0001f600", None)]
)
def test_the_first_lone_surrogate_is_found_and_pairs_are_not(text, place):
    assert find_surrogate(text) == place


def test_a_lone_surrogate_is_named_with_its_text_its_place_and_the_way_out():
    with pytest.raises(UserError) as error:
        list(checked(["a", "b", "c", "12345\ud800"], "pairs"))
    assert str(error.value) == (
        "pairs[3] holds a lone surrogate U+D800 at character 5: it is not valid Unicode; replace it"
        " (e.g. text.encode('utf-8', 'replace').decode()) or drop the text"
    )


def test_the_advice_about_surrogates_works():
    assert find_surrogate("12345\ud800".encode("utf-8", "replace").decode()) is None


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", ("a", "b"), ["a"]], ids=repr)
def test_what_is_no_string_is_named_with_its_type(wrong):
    with pytest.raises(UserError, match=rf"texts\[1\] is of type {type(wrong).__name__}, expected a string: convert"):
        list(checked(["fine", wrong]))


def test_one_string_in_place_of_several_is_refused_and_not_taken_letter_by_letter():
    with pytest.raises(UserError, match=r"texts is one string, expected several texts: write \['hello'\]"):
        list(checked("hello"))


def test_a_long_string_is_not_printed_whole():
    with pytest.raises(UserError) as error:
        list(checked("x" * 1_000_000))
    assert len(str(error.value)) < 100


def test_texts_are_the_same_whatever_their_white_space_and_composition():
    assert without_layout("cafe\u0301\t\u2003 au\r\n lait ") == without_layout("caf\xe9 au lait") == "caf\xe9 au lait"
    assert without_layout("Caf\xe9") != without_layout("caf\xe9")
