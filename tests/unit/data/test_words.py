"""Words of real tokens: the small tokenizer, alone and with the Hub's runs of spaces."""

from itertools import pairwise

import pytest

from modernbert.data.words import words_of
from support.texts import NASTY, hub_like_tokenizer, small_tokenizer


def cut(text, tokenizer):
    """A text as its words."""
    words, ids = words_of(tokenizer), tokenizer.encode([text], special=False).ids[0]
    firsts = [0] + [i for i, (a, b) in enumerate(pairwise(ids), 1) if words.ends[a] or words.starts[b]]
    return [tokenizer.decode(ids[a:b], special=True) for a, b in pairwise([*firsts, len(ids)])]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The keeper's daughter", ["The", " keeper", "'s", " daughter"]),
        ("(lighthouse) wasn't paid.", ["(", "lighthouse", ")", " wasn", "'t", " paid", "."]),
        ("1987 ships x2", ["1987", " ships", " x2"]),
        ("Die Straße führt", ["Die", " Straße", " führt"]),
        ("one\ntwo\tthree", ["one", "\n", "two", "\t", "three"]),
        ("flag=self.name", ["flag", "=", "self", ".", "name"]),
        ("灯台は，白い", ["灯台は，白い"]),
    ],
    ids=["prose", "signs", "digits", "letters of two bytes", "white space", "code", "characters in parts are letters"],
)
def test_words_are_what_spaces_and_signs_part(text, words):
    assert cut(text, small_tokenizer()) == words


def test_a_word_starts_after_a_token_of_several_spaces():
    assert cut("if x:\n    return name", hub_like_tokenizer())[-3:] == ["    ", "return", " name"]


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_no_character_is_parted_by_words(text):
    tokenizer = small_tokenizer()
    whole = tokenizer.decode(tokenizer.encode([text], special=False).ids[0], special=True)
    assert "".join(cut(text, tokenizer)) == whole


def test_every_id_is_known():
    words, tokenizer = words_of(small_tokenizer()), small_tokenizer()
    assert words.starts.shape == words.ends.shape == (tokenizer.vocab_size,)
    assert words.starts.dtype == words.ends.dtype == bool
