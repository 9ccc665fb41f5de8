"""Words of prose and code, and what they weigh."""

import math

import pytest

from modernbert.retrieval.index.bm25 import K1, B, Lexicon, counts, document_weights, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The naïve Café, 42!", ["the", "naïve", "café", "42"]),
        ("camelCase", ["camelcase", "camel", "case"]),
        ("HTTPServer2.parse_url()", ["httpserver2", "http", "server", "2", "parse_url", "parse", "url"]),
        ("__init__ x _y", ["__init__", "x", "_y"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("東京都へ行く", ["東京", "京都", "都へ", "へ行", "行く"]),
        ("abc東京def 京", ["abc", "東京", "def", "京"]),
        ("Größe_neu", ["grösse_neu", "grösse", "neu"]),
        ("ÜberGröße läuftSchnell", ["übergrösse", "über", "grösse", "läuftschnell", "läuft", "schnell"]),
        ("aB ABc x2y", ["ab", "a", "b", "abc", "a", "bc", "x2y", "x", "2", "y"]),
        ("", []),
    ],
)
def test_text_is_split(text, expected):
    assert words(text) == expected


def test_document_and_query_halves_make_bm25_by_its_formula():
    texts = ["cat dog cat", "dog", "bird bird bird bird"]
    lexicon = Lexicon()
    lexicon.add(map(counts, texts))
    average = 8 / 3
    query = lexicon.query_weights("cat dog unheard")
    found = [
        sum(weight * document_weights(counts(text), average).get(word, 0) for word, weight in query.items())
        for text in texts
    ]

    def term(frequency, documents, length):
        idf = math.log(1 + (3 - documents + 0.5) / (documents + 0.5))
        return idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length / average))

    assert found == pytest.approx([term(2, 1, 3) + term(1, 2, 3), term(1, 2, 1), 0])


def test_a_lexicon_that_forgot_is_one_that_never_knew(tmp_path):
    remembered, never = Lexicon(), Lexicon()
    remembered.add(map(counts, ["a b", "b c"]))
    remembered.save(tmp_path / "words.npz")
    remembered = Lexicon.load(tmp_path / "words.npz")
    remembered.add([counts("c d")])
    remembered.remove([counts("a b")])
    never.add(map(counts, ["b c", "c d"]))
    for _ in range(2):
        assert remembered.query_weights("a b c d") == never.query_weights("a b c d")
        assert remembered.documents == 2
        remembered.save(tmp_path / "words.npz")
        remembered = Lexicon.load(tmp_path / "words.npz")
