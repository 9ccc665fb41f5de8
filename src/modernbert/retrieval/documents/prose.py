"""Where to cut prose: at headings first, and within a section as `cut.py` does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from modernbert.retrieval.documents.cut import cut, fill, pieces_of, within
from modernbert.retrieval.documents.document import Section
from modernbert.retrieval.documents.measure import Measure


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
        atoms = cut(measure, (group.start, group.end), size)
        for first, last in fill(atoms, measure(atoms), size, overlap):
            found.append(Passage(atoms[first][0], atoms[last - 1][1], headings, pages))
    fitting = within(measure, [(passage.start, passage.end) for passage in found], size)
    found = [
        replace(passage, start=start, end=end)
        for passage, parts in zip(found, fitting, strict=True)
        for start, end in parts
    ]
    return _without_blanks(measure.text, found)


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
    parts = pieces_of((0, len(measure.text)), [section.start for section in known[1:]], keep_empty=True)
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
