"""Which script a letter is of, from its Unicode name: no table of ours, and no language model.

Python knows every character's name but not its script; the names of letters begin with it. A test compares all letters
with the Unicode property as the `regex` package has it.
"""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache

SCRIPTS: Mapping[str, str] = {
    "Arabic": "ARABIC", "Armenian": "ARMENIAN", "Bengali": "BENGALI", "Bopomofo": "BOPOMOFO", "Cherokee": "CHEROKEE",
    "Cyrillic": "CYRILLIC", "Devanagari": "DEVANAGARI", "Ethiopic": "ETHIOPIC", "Georgian": "GEORGIAN",
    "Greek": "GREEK", "Gujarati": "GUJARATI", "Gurmukhi": "GURMUKHI", "Han": "CJK", "Hangul": "HANGUL",
    "Hebrew": "HEBREW", "Hiragana": "HIRAGANA", "Kannada": "KANNADA", "Katakana": "KATAKANA", "Khmer": "KHMER",
    "Lao": "LAO", "Latin": "LATIN", "Malayalam": "MALAYALAM", "Mongolian": "MONGOLIAN", "Myanmar": "MYANMAR",
    "Oriya": "ORIYA", "Sinhala": "SINHALA", "Syriac": "SYRIAC", "Tamil": "TAMIL", "Telugu": "TELUGU",
    "Thaana": "THAANA", "Thai": "THAI", "Tibetan": "TIBETAN",
}  # fmt: skip
"""Unicode's name of each script that much is written in, and the word that the names of its letters begin with."""

WITHOUT_SPACES = frozenset({"Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar"})
"""Scripts that do not part words by spaces: rules about words mean nothing there, and characters stand for words."""

_BY_FIRST_WORD = {word: script for script, word in SCRIPTS.items()} | {"HENTAIGANA": "Hiragana", "IDEOGRAPHIC": "Han"}
_WIDTHS = ("FULLWIDTH", "HALFWIDTH")


@lru_cache(maxsize=2**18)  # all there are
def script_of(character: str) -> str | None:
    """The script of a letter or of a mark on letters; `None` for all else, for rare scripts, and for marks that many share.

    >>> script_of("é"), script_of("я"), script_of("字"), script_of("7")
    ('Latin', 'Cyrillic', 'Han', None)
    """
    if unicodedata.category(character)[0] not in "LM":
        return None
    words = unicodedata.name(character, "").replace("-", " ").split()
    if words and words[0] in _WIDTHS:
        words = words[1:]
    return _BY_FIRST_WORD.get(words[0]) if words else None


def count_scripts(characters: Mapping[str, int]) -> tuple[int, dict[str, int]]:
    """The number of letters and marks, and how many of them are of each script; from how often each character comes.

    >>> count_scripts({"a": 2, "б": 1, ".": 5})
    (3, {'Latin': 2, 'Cyrillic': 1})
    """
    num_letters = 0
    by_script: dict[str, int] = {}
    for character, count in characters.items():
        if unicodedata.category(character)[0] in "LM":
            num_letters += count
            if script := script_of(character):
                by_script[script] = by_script.get(script, 0) + count
    return num_letters, by_script
