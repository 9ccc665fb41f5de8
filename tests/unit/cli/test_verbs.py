import pytest

from modernbert.cli.verbs import VERBS, Group, _class_of, parse

PLACES = [place for one in VERBS.values() for place in (one.verbs.values() if isinstance(one, Group) else [one])]


@pytest.mark.parametrize("place", PLACES)
def test_every_verb_is_where_it_is_said_to_be(place):
    kind = _class_of(place)
    assert callable(kind.run)
    assert kind.__doc__


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--help"], "usage: modernbert [-h] {demo,tokenizer,"),
        (["recipe", "--help"], "usage: modernbert recipe [-h] {list,show,copy,check}"),
        (["recipe", "list", "--help"], "usage: modernbert recipe list [-h] [--json]"),
        (["doctor", "--help"], "usage: modernbert doctor [-h]"),
    ],
)
def test_help_names_the_words_so_far(capsys, words, told):
    with pytest.raises(SystemExit) as stop:
        parse(words)
    assert stop.value.code == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nosuch"], "nosuch"),
        (["recipe", "nosuch"], "nosuch"),
        ([], "demo, tokenizer"),
        (["recipe"], "list, show, copy, check"),
        (["--json", "doctor"], "--json"),
        (["doctor", "--nosuch"], "--nosuch"),
    ],
)
def test_words_that_name_no_verb_are_told_with_the_choice(capsys, words, told):
    with pytest.raises(SystemExit) as stop:
        parse(words)
    assert stop.value.code == 2
    assert told in capsys.readouterr().err
