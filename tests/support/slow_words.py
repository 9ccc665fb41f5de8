"""The slow twin of `modernbert.data.shingles.words`: the words themselves, found with a regular expression."""

import unicodedata

import regex

_ALONE = r"[[\p{L}\p{M}]&&[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]"
_WORD = regex.compile(rf"(?V1){_ALONE}|[[\p{{L}}\p{{M}}\p{{N}}]--{_ALONE}]+")


def slow_words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


UNALIKE = "\u3006\u302a\u302b\u302c\u302d\u303b\u30fc\uff70\uff9e\uff9f\U00016fe3\U00016ff0\U00016ff1"
"""Signs that by their names are of another script than by the Unicode property, such as the Katakana prolonged sound mark."""
