import json

import pytest

from modernbert.retrieval.documents.snippets import snippet

TEXT = "\nfirst line\nsecond line\n\nfourth line has it\nfifth has it, too\n\n"


def spans_of(text, word):
    found, start = [], text.find(word)
    while start >= 0:
        found.append((start, start + len(word)))
        start = text.find(word, start + 1)
    return found


def test_the_lines_with_the_evidence_are_shown_with_their_numbers():
    shown = snippet(TEXT, 10, spans_of(TEXT, "has it"), lines=2)
    assert [(line.number, line.text, line.spans) for line in shown.lines] == [
        (14, "fourth line has it", ((12, 18),)), (15, "fifth has it, too", ((6, 12),)),
    ]  # fmt: skip
    assert shown.is_cut


def test_without_evidence_the_first_lines_are_shown():
    shown = snippet(TEXT, 10, lines=2)
    assert [line.number for line in shown.lines] == [11, 12]
    assert not snippet(TEXT, 10, lines=9).is_cut


def test_weights_decide_which_lines():
    (start, end), *_ = spans_of(TEXT, "second")
    shown = snippet(TEXT, 1, [*spans_of(TEXT, "has it"), (start, end, 5.0)], lines=1)
    assert shown.lines[0].text == "second line"


def test_a_terminal_gets_marks_and_a_file_does_not():
    shown = snippet("one two", 9, [(4, 7)])
    assert shown.to_text(color=False) == "9  one two"
    assert shown.to_text() == "\033[2m9\033[0m  one \033[1;33mtwo\033[0m"


def test_overlapping_evidence_is_one_mark_also_over_line_ends():
    shown = snippet("ab cd\nef", 1, [(1, 4), (3, 7), (90, 95), (-4, 1)])
    assert [line.spans for line in shown.lines] == [((0, 5),), ((0, 1),)]


def test_programs_get_plain_values():
    shown = snippet("one two", 9, [(4, 7)])
    expected = {"lines": [{"number": 9, "text": "one two", "spans": [[4, 7]]}], "is_cut": False}
    assert json.loads(json.dumps(shown.to_json())) == expected


def test_a_wide_line_is_cut_around_its_evidence():
    text = "x" * 300 + "here" + "y" * 300
    (line,) = snippet(text, 1, [(300, 304)], width=60).lines
    assert len(line.text) <= 60
    assert [line.text[a:b] for a, b in line.spans] == ["here"]
    assert (line.text[0], line.text[-1]) == ("…", "…")


@pytest.mark.parametrize(("sign", "shown"), [("\x1b", "␛"), ("\x07", "␇"), ("\t", " "), ("\x9b", "�"), ("\u202e", "�")])
def test_no_text_can_command_the_terminal(sign, shown):
    assert snippet(f"a{sign}[31mb", 1).lines[0].text == f"a{shown}[31mb"
