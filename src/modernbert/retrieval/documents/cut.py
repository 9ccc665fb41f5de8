"""Texts in pieces: at empty lines, else sentences, else lines, else words, else characters.

Pieces that follow each other hold every character. A word is cut only where it alone is larger than what is asked; in
scripts without spaces every character is a word.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise

from modernbert.data.scripts import WITHOUT_SPACES, script_of
from modernbert.retrieval.documents.measure import Measure, Part

_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_FENCES = re.compile(r"^[ ]{0,3}(`{3,}|~{3,}).*?(?:^[ ]{0,3}\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_SENTENCES = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[^\sa-z])|(?<=[。！？｡])[」』”’）]*\s*")
_LINES = re.compile(r"\n")
_JOINERS = "\u200d\ufe0e\ufe0f"


def cut(measure: Measure, whole: Part, size: int, level: int = 0) -> list[Part]:
    """A part in pieces no larger than `size`, cut as little deep as that allows. White space around a word does not count."""
    pieces = pieces_of(whole, _LEVELS[level](measure.text, *whole))
    sizes = measure([_shown(measure.text, piece) for piece in pieces] if level == WORDS else pieces)
    if len(pieces) == 1 and level + 1 < len(_LEVELS):
        return cut(measure, whole, size, level + 1) if sizes[0] > size else pieces
    found: list[Part] = []
    for piece, large in zip(pieces, sizes, strict=True):
        if large > size and level + 1 < len(_LEVELS):
            found.extend(cut(measure, piece, size, level + 1))
        else:
            found.append(piece)
    return found


def fill(pieces: Sequence[Part], sizes: Sequence[int], size: int, overlap: int = 0) -> list[tuple[int, int]]:
    """Runs of pieces, [first, last), as many as fit; a piece larger than `size` stands alone.

    >>> fill([(0, 4), (4, 6), (6, 9)], [4, 2, 3], 6)
    [(0, 2), (2, 3)]
    """
    runs: list[tuple[int, int]] = []
    first = 0
    while first < len(pieces):
        begin, total = first, 0
        while runs and begin - 1 > runs[-1][0] and total + sizes[begin - 1] <= min(overlap, size - sizes[first]):
            begin -= 1
            total += sizes[begin]
        last = first
        while last < len(pieces) and (last == first or total + sizes[last] <= size):
            total += sizes[last]
            last += 1
        runs.append((begin, last))
        first = last
    return runs


def within(measure: Measure, parts: Sequence[Part], size: int, *, level: int = 0) -> list[list[Part]]:
    """Each part, halved as often as it takes: a tokenizer may count more in it than the sum of its pieces, by a token or two."""
    if measure.is_exact:
        return [[part] for part in parts]
    shown = [_shown(measure.text, part) for part in parts]
    return [
        _halved(measure, part, size, level) if large > size else [part]
        for part, large in zip(parts, measure(shown), strict=True)
    ]


def _halved(measure: Measure, part: Part, size: int, level: int) -> list[Part]:
    start, end = part
    starts = [place for place, _ in cut(measure, part, max(1, size // 2), level)[1:]]
    if not starts:
        return [part]
    middle = min(starts, key=lambda place: abs(2 * place - start - end))
    return [piece for half in within(measure, [(start, middle), (middle, end)], size, level=level) for piece in half]


def _shown(text: str, part: Part) -> Part:
    """Without the white space around it."""
    start, end = part
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end


def pieces_of(whole: Part, cuts: Sequence[int], *, keep_empty: bool = False) -> list[Part]:
    """A part between cuts, in order."""
    start, end = whole
    edges = [start, *(place for place in cuts if keep_empty or start < place < end), end]
    return [(a, b) for a, b in pairwise(edges) if keep_empty or b > a] or [whole]


def _paragraphs(text: str, start: int, end: int) -> list[int]:
    fences = [found.span() for found in _FENCES.finditer(text, start, end)]
    places = [found.end() for found in _EMPTY_LINES.finditer(text, start, end)]
    if not fences:
        return places
    kept, fence = list[int](), 0
    for place in places:
        while fence < len(fences) and fences[fence][1] < place:
            fence += 1
        if fence == len(fences) or not fences[fence][0] < place <= fences[fence][1]:
            kept.append(place)
    return kept


def _sentences(text: str, start: int, end: int) -> list[int]:
    if text[start : start + 4].lstrip().startswith(("```", "~~~", "|")):  # code and tables have lines, not sentences
        return []
    return [found.end() for found in _SENTENCES.finditer(text, start, end)]


def _line_ends(text: str, start: int, end: int) -> list[int]:
    return [found.end() for found in _LINES.finditer(text, start, end)]


def _words(text: str, start: int, end: int) -> list[int]:
    """Before words. A mark stays with its letter, and a sign with the character it closes."""
    cuts = []
    for place in range(start + 1, end):
        before, here = text[place - 1], text[place]
        if before.isspace():
            if not here.isspace():
                cuts.append(place)
        elif (_stands_alone(before) or _stands_alone(here)) and unicodedata.category(here)[0] in "LN":
            cuts.append(place)
    return cuts


def _characters(text: str, start: int, end: int) -> list[int]:
    """Between characters as a reader sees them."""
    return [
        place
        for place in range(start + 1, end)
        if unicodedata.category(text[place])[0] != "M" and text[place] not in _JOINERS and text[place - 1] != "\u200d"
    ]


_LEVELS: tuple[Callable[[str, int, int], list[int]], ...] = (
    _paragraphs, _sentences, _line_ends, _words, _characters,
)  # fmt: skip
LINES, WORDS = _LEVELS.index(_line_ends), _LEVELS.index(_words)
"""Levels of `cut`: below which nothing but line ends counts, and nothing but words."""


def _stands_alone(character: str) -> bool:
    return character > "\u0e00" and script_of(character) in WITHOUT_SPACES
