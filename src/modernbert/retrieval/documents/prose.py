"""Where to cut prose: at headings, else paragraphs, else sentences, else lines, else words.

Parts that follow each other hold every character of the text. A word is cut only where it alone is larger than a chunk;
in scripts without spaces every character is a word.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from modernbert.data.scripts import WITHOUT_SPACES, script_of
from modernbert.retrieval.documents.document import Section
from modernbert.retrieval.documents.measure import Measure, Part

_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_FENCES = re.compile(r"^[ ]{0,3}(`{3,}|~{3,}).*?(?:^[ ]{0,3}\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_SENTENCES = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[^\sa-z])|(?<=[。！？｡])[」』”’）]*\s*")
_LINES = re.compile(r"\n")
_JOINERS = "\u200d\ufe0e\ufe0f"


@dataclass(frozen=True, slots=True)
class Passage:
    """One chunk to be: a part of the text under headings."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    pages: tuple[int, int] | None = None


def cut_prose(
    measure: Measure, sections: Sequence[Section], *, size: int, overlap: int = 0, small: int = 0
) -> list[Passage]:
    """The passages of a text in order; with an overlap each begins with the last sentences of the one before it.

    Small sections join their siblings, and a heading without text joins what stands below it.
    """
    found: list[Passage] = []
    for group in _groups(measure, sections, size, small):
        headings = _common([section.headings for section in group.sections])
        numbers = [section.page for section in group.sections if section.page is not None]
        pages = (numbers[0], numbers[-1]) if numbers else None
        atoms = list(cut(measure, (group.start, group.end), size))
        for first, last in fill(atoms, measure(atoms), size, overlap):
            found.append(Passage(atoms[first][0], atoms[last - 1][1], headings, pages))
    return _without_blanks(measure.text, found)


def cut(measure: Measure, whole: Part, size: int, level: int = 0) -> list[Part]:
    """A part in pieces no larger than `size`, cut as little deep as that allows."""
    pieces = _pieces(whole, _LEVELS[level](measure.text, *whole))
    if len(pieces) == 1 and level + 1 < len(_LEVELS):
        return cut(measure, whole, size, level + 1) if measure(pieces)[0] > size else pieces
    found: list[Part] = []
    for piece, large in zip(pieces, measure(pieces), strict=True):
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


@dataclass(slots=True)
class _Group:
    """Sections that stand together."""

    sections: list[Section]
    start: int
    end: int
    large: int
    is_bare: bool
    """Whether there are headings only, and nothing below them."""


def _groups(measure: Measure, sections: Sequence[Section], size: int, small: int) -> list[_Group]:
    known = sections if sections and sections[0].start == 0 else [Section(start=0), *sections]
    parts = _pieces((0, len(measure.text)), [section.start for section in known[1:]], keep_empty=True)
    groups: list[_Group] = []
    for section, (start, end), large in zip(known, parts, measure(parts), strict=True):
        is_bare = _is_bare(measure.text[start:end], section)
        if groups and _belongs(groups[-1], section, large, is_bare, size, small):
            group = groups[-1]
            group.sections.append(section)
            group.end, group.large, group.is_bare = end, group.large + large, group.is_bare and is_bare
        else:
            groups.append(_Group([section], start, end, large, is_bare))
    return groups


def _belongs(group: _Group, section: Section, large: int, is_bare: bool, size: int, small: int) -> bool:
    head = group.sections[0].headings
    is_below = section.headings[: len(head)] == head
    if group.is_bare and is_below:
        return True
    if is_bare or group.large + large > size:
        return False
    is_sibling = section.headings[:-1] == head[:-1] and len(section.headings) == len(head)
    return (is_below or is_sibling) and min(group.large, large) <= small


def _is_bare(text: str, section: Section) -> bool:
    """Whether nothing stands below the first line, its underline aside; or nothing at all."""
    first, _, rest = text.strip().partition("\n")
    return not rest.strip("=-* \n") if section.headings else not first


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What all paths begin with."""
    return tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False)))


def _pieces(whole: Part, cuts: Sequence[int], *, keep_empty: bool = False) -> list[Part]:
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
WORDS = _LEVELS.index(_words)
"""The level of `cut` that parts a line."""


def _stands_alone(character: str) -> bool:
    return character > "\u0e00" and script_of(character) in WITHOUT_SPACES


def _without_blanks(text: str, passages: list[Passage]) -> list[Passage]:
    """White space is no passage: it goes to the one before it, or the first that is there."""
    found: list[Passage] = []
    pending: int | None = None
    for passage in passages:
        is_blank = text[passage.start : passage.end].isspace() or passage.start == passage.end
        if is_blank and found:
            before = found[-1]
            found[-1] = Passage(before.start, passage.end, before.headings, before.pages)
        elif is_blank:
            pending = passage.start if pending is None else pending
        else:
            start = passage.start if pending is None else pending
            found.append(Passage(start, passage.end, passage.headings, passage.pages))
            pending = None
    return found
