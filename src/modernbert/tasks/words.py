"""Words and the tokens they are made of, with places in characters.

A list of words becomes the text with one space between them, which is what pre-training has seen: inside it every word but
the first carries its space (`Ġword`). Nothing hangs on a tokenizer's `add_prefix_space`, which changes nothing for this
family. A raw text keeps its own spacing, and a rule says where its words are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modernbert.text.tokenizer import Span, Tokenizer

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(
    rf"[{_CJK}]|(?:(?![{_CJK}])\w)+(?:(?!['’]s\b)['’.\-](?:(?![{_CJK}])\w)+)*|['’]s\b|[^\w\s]", re.IGNORECASE
)
"""A character of Chinese or Japanese; letters and digits with the marks inside them (don't, U.N, 3.5, re-use); 's of a name
apart, as corpora of names have it; any other mark."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text and where its words stand in it."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Ids of a text, or of a part of it, and the first token of each word."""

    ids: list[int]
    """With the special tokens around them."""
    first_word: int
    """Number of the first word that is in this part."""
    heads: list[int | None]
    """For each word of the part, the place in `ids` of its first token; none for a word that no token stands for."""


def joined(words: Sequence[str]) -> Words:
    """Words as a text."""
    spans, start = [], 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return Words(" ".join(words), tuple(spans))


def split(text: str) -> Words:
    """A text's words by the rule above.

    >>> [text[a:b] for text in ["Don't ask Ann's U.N., 3.5 times."] for a, b in split(text).spans]
    ["Don't", 'ask', 'Ann', "'s", 'U.N', '.', ',', '3.5', 'times', '.']
    """
    return Words(text, tuple(match.span() for match in _WORD.finditer(text)))


def tokens_of(tokenizer: Tokenizer, rows: Sequence[Words], *, longest: int) -> list[list[Tokens]]:
    """The parts of each text, cut between words where it is too long; mostly one.

    A word that alone has more tokens than fit loses its end. Words that spell special tokens are taken literally.
    """
    encoded = tokenizer.encode([row.text for row in rows], special=False, offsets=True, literal=True)
    room = longest - len(tokenizer.enclose([]))
    return [
        _parts(tokenizer, ids, spans, row.spans, room)
        for ids, spans, row in zip(encoded.ids, encoded.offsets, rows, strict=True)
    ]


def _parts(tokenizer: Tokenizer, ids: list[int], places: list[Span], words: Sequence[Span], room: int) -> list[Tokens]:
    firsts = _firsts(places, words)
    before = tokenizer.enclose([0]).index(0)
    parts: list[Tokens] = []
    word, start = 0, 0
    while True:
        next_word, end = _part_end(firsts, len(ids), word, start, room)
        heads = [None if (at := firsts[n]) is None else before + at - start for n in range(word, next_word)]
        parts.append(Tokens(ids=tokenizer.enclose(ids[start : min(end, start + room)]), first_word=word, heads=heads))
        if next_word == len(words):
            return parts
        word, start = next_word, end


def _part_end(firsts: Sequence[int | None], num_ids: int, word: int, start: int, room: int) -> tuple[int, int]:
    """Where a part ends that begins with this word: the next word, and its first token."""
    if num_ids - start <= room:
        return len(firsts), num_ids
    later = [(number, at) for number in range(word + 1, len(firsts)) if (at := firsts[number]) is not None]
    fitting = [each for each in later if each[1] - start <= room]
    if fitting:
        return fitting[-1]
    return later[0] if later else (len(firsts), num_ids)  # one word that is longer than all the room


def _firsts(places: Sequence[Span], words: Sequence[Span]) -> list[int | None]:
    """First token of each word: the first that stands for a character of it, and of no word before."""
    found: list[int | None] = []
    token = 0
    for first, last in words:
        while token < len(places) and (places[token][0] < first or places[token][0] == places[token][1]):
            token += 1
        found.append(token if token < len(places) and places[token][0] < last else None)
    return found
