"""Languages are told, and what is missing or misspelt is said."""

import sys

import pytest

from modernbert.core.errors import ConfigError, MissingExtraError
from modernbert.data.languages import BEGINNING, identifier

TEXTS = {
    "en": "The lighthouse keeper's daughter learnt to read from the labels of tinned fruit.",
    "de": "Der Leuchtturm steht noch, und die Straße führt über die Dünen zum Hafen.",
    "fr": "Où est le café près de la mer ? Là-bas, à côté de l'église, disait-elle toujours.",
    "es": "El faro está allí; mañana volverá el señor que escribe las cartas de la isla.",
    "ru": "Маяк всё ещё стоит, и дорога через дюны ведёт в гавань.",
    "ja": "灯台はまだそこにある。灯台の光は白い。",
}


def test_languages_are_told():
    told = identifier(tuple(TEXTS))
    assert {language: told(text) for language, text in TEXTS.items()} == dict(zip(TEXTS, TEXTS, strict=True))


def test_only_the_beginning_is_looked_at():
    english = TEXTS["en"] + " "
    assert identifier(())(english * (BEGINNING // len(english) + 1) + TEXTS["ru"] * 1000) == "en"


@pytest.mark.parametrize(
    ("language", "message"),
    [("en-GB", r"languages: found 'en-GB', .*did you mean 'en'\?"), ("1", r"found '1', .*: write its ISO 639 code")],
)
def test_a_language_nobody_knows_is_refused(language, message):
    with pytest.raises(ConfigError, match=message):
        identifier(("en", language))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid", None)
    monkeypatch.delitem(sys.modules, "py3langid.langid", raising=False)
    with pytest.raises(MissingExtraError, match=r"'py3langid\.langid' is not installed .*modernbert\[data\]"):
        identifier(())
