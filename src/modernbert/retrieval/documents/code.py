"""Where to cut code: at its definitions, a class apart from its methods; always at line ends.

Small neighbours stand together, long functions are cut within. What no grammar reads is cut by lines, best where they are
least indented. Parts that follow each other hold every line of the file.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from modernbert.retrieval.documents.definitions import Definition, definitions
from modernbert.retrieval.documents.languages import CONTAINERS
from modernbert.retrieval.documents.measure import Measure


@dataclass(frozen=True, slots=True)
class Lines:
    """One chunk to be: lines of a file, numbered from 0, the last one excluded, and what they define."""

    first: int
    last: int
    owner: Definition | None
    """The definition that the lines are of, or are in; absent at the top of the file."""
    begins: tuple[Definition, ...] = ()
    """The definitions that begin here, in order."""
    around: tuple[Definition, ...] = ()
    """Those that began before and have not ended, the outermost first."""

    @property
    def main(self) -> Definition | None:
        """What these lines are about: the one thing they define, else what they stand in."""
        inside = {definition.symbol for definition in self.begins}
        outermost = [one for one in self.begins if one.symbol.rpartition(".")[0] not in inside]
        return outermost[0] if len(outermost) == 1 else self.owner


def cut_code(measure: Measure, language: str, *, size: int, small: int) -> list[Lines]:
    """The parts of a file in order. A single line larger than `size` stands alone, whole."""
    return _Cutter(measure, definitions(measure.text, language), size, small).parts()


@dataclass(slots=True)
class _Part:
    first: int
    last: int
    owner: Definition | None
    begins: tuple[Definition, ...]
    is_whole: bool
    """Whether nothing of what it is of lies elsewhere, so that it may stand with its neighbours."""


class _Cutter:
    """One file being cut. State: its lines, how much stands before each, and what is in what."""

    def __init__(self, measure: Measure, found: Sequence[Definition], size: int, small: int) -> None:
        self._lines = measure.text.split("\n")
        starts = [0, *accumulate(len(line) + 1 for line in self._lines)]
        starts[-1] = len(measure.text)
        self._before = [0, *accumulate(measure(list(pairwise(starts))))]
        if not self._lines[-1]:  # the text ends with its last line's end
            self._lines.pop()
            self._before.pop()
        self._size, self._small = size, small
        self._found = found
        self._within: dict[int | None, list[int]] = {}
        for place, definition in enumerate(found):
            self._within.setdefault(definition.parent, []).append(place)

    def parts(self) -> list[Lines]:
        """The whole file."""
        parts = self._inside(None, None, 0, len(self._lines), ())
        return [Lines(part.first, part.last, part.owner, part.begins, self._around(part)) for part in parts]

    def _around(self, part: _Part) -> tuple[Definition, ...]:
        chain: list[Definition] = []
        inner = part.begins[0] if part.begins else part.owner
        while inner is not None:
            if inner not in part.begins:
                chain.append(inner)
            inner = self._found[inner.parent] if inner.parent is not None else None
        return tuple(reversed(chain))

    def _inside(
        self, place: int | None, owner: Definition | None, first: int, last: int, begins: tuple[Definition, ...]
    ) -> list[_Part]:
        """The parts between two lines of a definition, or of the file: what stands in it, and what stands between."""
        parts: list[_Part] = []
        reached = first
        for inner in self._within.get(place, ()):
            definition = self._found[inner]
            start, end = max(definition.first_line - 1, reached), min(definition.last_line, last)
            if start >= end:  # on a line with the one before
                if parts:
                    parts[-1].begins += self._all(inner)
                else:
                    begins += self._all(inner)
                continue
            if start == first and owner is not None:  # on a line with what it is in
                start = min(start + 1, end)
                if start == end:
                    begins += self._all(inner)
                    continue
            if start > reached:
                parts.extend(self._split(reached, start, owner, begins))
                begins = ()
            parts.extend(self._definition(inner, start, end, begins))
            begins = ()
            reached = end
        if last > reached:
            parts.extend(self._split(reached, last, owner, begins))
        return self._together(parts, owner)

    def _definition(self, place: int, first: int, last: int, before: tuple[Definition, ...]) -> list[_Part]:
        definition = self._found[place]
        fits = self._large(first, last) <= self._size
        if fits and (definition.kind not in CONTAINERS or place not in self._within):
            return [_Part(first, last, definition, (*before, *self._all(place)), is_whole=True)]
        parts = self._inside(place, definition, first, last, (*before, definition))
        if len(parts) > 1:
            for part in parts:
                part.is_whole = False
        return parts

    def _all(self, place: int) -> tuple[Definition, ...]:
        found, waiting = list[Definition](), [place]
        while waiting:
            here = waiting.pop()
            found.append(self._found[here])
            waiting.extend(reversed(self._within.get(here, [])))
        return tuple(found)

    def _together(self, parts: list[_Part], owner: Definition | None) -> list[_Part]:
        """Small neighbours as one; and lines without a word never alone."""
        found: list[_Part] = []
        for part in parts:
            if found and self._joins(found[-1], part):
                before = found[-1]
                if self._is_wordless(before):
                    before.owner = part.owner
                elif not self._is_wordless(part) and before.owner is not part.owner:
                    before.owner = owner
                before.last = part.last
                before.begins += part.begins
                before.is_whole &= part.is_whole
            else:
                found.append(part)
        return found

    def _joins(self, before: _Part, part: _Part) -> bool:
        if self._is_wordless(before) or self._is_wordless(part):
            return True
        return before.is_whole and part.is_whole and self._large(before.first, part.last) <= self._small

    def _is_wordless(self, part: _Part) -> bool:
        return not any(character.isalnum() for line in self._lines[part.first : part.last] for character in line)

    def _split(self, first: int, last: int, owner: Definition | None, begins: tuple[Definition, ...]) -> list[_Part]:
        """Lines between definitions: in one part if they fit, else cut where a reader would."""
        parts: list[_Part] = []
        while first < last:
            end = max(bisect_right(self._before, self._before[first] + self._size) - 1, first + 1)
            end = last if end >= last else self._best(first, end)
            parts.append(_Part(first, end, owner, begins, is_whole=True))
            begins = ()
            first = end
        return parts

    def _best(self, first: int, end: int) -> int:
        """The best line to begin anew with, in the last half of what fits."""
        return min(range(first + max(1, (end - first) // 2), end + 1), key=lambda line: (self._cost(line), -line))

    def _cost(self, line: int) -> int:
        text = self._lines[line]
        if not any(character.isalnum() for character in text):
            return 1000  # a closing bracket, or an empty line: they end things
        indent = len(text) - len(text.lstrip())
        return indent - (4 if line and not self._lines[line - 1].strip() else 0)

    def _large(self, first: int, last: int) -> int:
        return self._before[last] - self._before[first]
