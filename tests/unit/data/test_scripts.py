"""Scripts by name against the Unicode property, over every letter there is."""

import unicodedata

import pytest
import regex

from modernbert.data.scripts import SCRIPTS, WITHOUT_SPACES, count_scripts, script_of

SHARED = ("COMBINING", "MODIFIER", "SUPERSCRIPT")  # marks and small signs, which other scripts may borrow
LETTERS = "".join(
    c
    for c in map(chr, range(0x10000))
    if unicodedata.category(c)[0] in "LM" and not unicodedata.name(c, "").startswith(SHARED)
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_name_of_a_letter_gives_its_script(script):
    """A few, such as ª and 々, are named after nothing, and are of no script here."""
    ours = {c for c in LETTERS if script_of(c) == script}
    theirs = set(regex.findall(rf"\p{{Script={script}}}", LETTERS))
    shared = set(regex.findall(r"[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}]", LETTERS))
    assert len(ours & theirs) >= 0.98 * len(theirs)
    assert len(ours - theirs - shared) <= 0.01 * len(ours)


def test_scripts_without_spaces_are_known():
    assert set(SCRIPTS) >= WITHOUT_SPACES


def test_digits_signs_and_shared_marks_are_of_no_script():
    assert [script_of(c) for c in "7 .\n\u0301\ud800Ａｱー"] == [None] * 6 + ["Latin", "Katakana", "Katakana"]


def test_letters_and_marks_are_counted_and_nothing_else():
    assert count_scripts({"a": 2, "б": 1, "\u0301": 1, "1": 9, " ": 9}) == (4, {"Latin": 2, "Cyrillic": 1})
