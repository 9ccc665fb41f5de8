"""Counted by hand on a vocabulary of bytes and a few merges, and on the small one."""

import pytest

from modernbert.core.errors import UserError
from modernbert.text.report import HUB_IDS, fit, layout
from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import SPECIAL, train_tokenizer
from support.texts import CORPUS, NASTY, small_tokenizer


def tokenizer_of(*texts, **settings):
    return train_tokenizer(texts, **{"vocab_size": 320, "num_unused": 0, "min_frequency": 1, **settings})


def test_tokens_words_and_bytes_are_counted():
    tokenizer = tokenizer_of("abab")  # learns ab and abab
    found = fit(tokenizer, ["abab ab", "e\u0301"])
    assert (found.texts, found.bytes, found.characters, found.words) == (2, 9, 8, 3)
    assert found.tokens == len(["abab", " ", "ab", "\xc3", "\xa9"])
    assert (found.bytes_per_token, found.tokens_per_word, found.tokens_per_character) == (9 / 5, 5 / 3, 5 / 8)
    assert (found.used, found.coverage) == (5, 5 / 258)
    assert (found.broken, found.unknown) == (0, 0)
    assert found.as_dict()["bytes_per_token"] == 9 / 5


def test_characters_without_a_token_are_named():
    found = fit(tokenizer_of("abab"), ["é a é", "ü"])
    assert found.partial == 6
    assert found.in_pieces == {"é": 2, "ü": 1}
    assert fit(tokenizer_of("abab"), ["é a é", "ü"], most_in_pieces=1).in_pieces == {"é": 2}
    assert fit(tokenizer_of("é"), ["é a é"]).in_pieces == {}


def test_a_whole_character_beside_a_part_of_another_is_not_named():
    tokenizer = tokenizer_of(*["のに"] * 3, vocab_size=320 - 56)  # three merges
    assert len(tokenizer.token(258)) == 5  # all of の and two of the three bytes of に
    found = fit(tokenizer, ["のにのに"])
    assert (found.tokens, found.partial) == (4, 4)
    assert found.in_pieces == {"に": 2}


def test_every_text_comes_back_literally():
    found = fit(small_tokenizer(), [*NASTY.values()])
    assert (found.texts, found.broken, found.unknown) == (len(NASTY), 0, 0)


def test_texts_that_do_not_come_back_are_counted():
    """A vocabulary that drops what it does not know, as some do."""
    fast = small_tokenizer()._fast
    content = type(fast).from_str(fast.to_str().replace('"Q":', '"\u2603":'))
    found = fit(Tokenizer(content, SPECIAL, None), ["a Q", "a"])
    assert found.broken == 1


def test_no_text_has_no_figures():
    found = fit(small_tokenizer(), [])
    assert (found.tokens, found.bytes_per_token, found.tokens_per_word, found.coverage) == (0, 0, 0, 0)


def test_a_text_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"texts\[1\] is of type NoneType"):
        fit(small_tokenizer(), ["fine", None])


def test_the_layout_of_the_hub_is_recognised():
    tokenizer = train_tokenizer([CORPUS])  # too few words: special tokens come early, the rest is unused
    found = layout(tokenizer)
    assert found.differences.keys() == HUB_IDS.keys() - {"vocab_size"}
    assert found.differences["cls"] == (tokenizer.cls_id, 50_281)
    assert found.missing_bytes == 0


def test_a_small_vocabulary_is_described():
    found = layout(small_tokenizer())
    assert (found.vocab_size, found.num_unused) == (448, 8)
    assert found.special == {"unk": 435, "cls": 436, "sep": 437, "pad": 438, "mask": 439}
    assert found.differences["vocab_size"] == (448, 50_368)
    longest = max(len(small_tokenizer().token(n)) for n in range(435))
    assert len(found.longest_token) == longest
