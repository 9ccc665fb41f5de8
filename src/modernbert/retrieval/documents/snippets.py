"""The lines of a chunk that show why it was found, with the evidence marked: for a terminal, and for programs."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from modernbert.core.jsonable import Json

_MARK, _DIM, _END = "\033[1;33m", "\033[2m", "\033[0m"
_CUT = "…"
_BEFORE = 20
"""Characters kept before the first evidence of a line that is too wide."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line to show."""

    number: int
    text: str
    spans: tuple[tuple[int, int], ...]
    """What to mark, in characters of `text`; in order, apart from each other."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines in a row."""

    lines: tuple[Line, ...]
    is_cut: bool
    """Whether the chunk has more lines than these."""

    def to_json(self) -> dict[str, Json]:
        """Plain values: `{"lines": [{"number": 3, "text": "…", "spans": [[0, 4]]}], "is_cut": false}`."""
        lines: list[Json] = [
            {"number": line.number, "text": line.text, "spans": [list(span) for span in line.spans]}
            for line in self.lines
        ]
        return {"lines": lines, "is_cut": self.is_cut}

    def to_text(self, *, color: bool = True) -> str:
        """For a terminal; without colour, evidence is not marked."""
        wide = len(str(self.lines[-1].number)) if self.lines else 0
        shown = []
        for line in self.lines:
            number = f"{line.number:>{wide}}"
            text = _marked(line) if color else line.text
            shown.append(f"{_DIM}{number}{_END}  {text}" if color else f"{number}  {text}")
        return "\n".join(line.rstrip() for line in shown)


def snippet(
    text: str,
    first_line: int,
    spans: Sequence[tuple[int, int] | tuple[int, int, float]] = (),
    *,
    lines: int = 6,
    width: int = 120,
) -> Snippet:
    """The `lines` lines in a row with the most evidence; of several such places the first. Empty lines at the ends go.

    Control characters are shown as pictures of themselves, so that no text can command the terminal.

    Args:
        spans: what matched, from a character of the text to before another, and how much (1 unless given); they may
            overlap, and reach beyond the text.
        width: characters of a line, at least 10; a longer one is cut around its first evidence.
    """
    rows = text.split("\n")
    marks, weights = _by_line(rows, spans)
    first, last = _window(rows, weights, max(1, lines))
    shown = tuple(
        _line(first_line + number, rows[number], marks.get(number, []), max(width, 10)) for number in range(first, last)
    )
    rest = [row for number, row in enumerate(rows) if not first <= number < last]
    return Snippet(shown, any(row.strip() for row in rest))


def _by_line(
    rows: Sequence[str], spans: Sequence[tuple[int, int] | tuple[int, int, float]]
) -> tuple[dict[int, list[tuple[int, int]]], list[float]]:
    """What to mark in each line, and how much evidence it has."""
    marks: dict[int, list[tuple[int, int]]] = {}
    weights = [0.0] * len(rows)
    ordered = sorted((span[0], span[1], float(span[2]) if len(span) == 3 else 1.0) for span in spans)
    for start, end, weight in ordered:
        place = 0
        for number, row in enumerate(rows):
            begin, stop = max(start - place, 0), min(end - place, len(row))
            if begin < stop:
                marks.setdefault(number, []).append((begin, stop))
                weights[number] += weight
            place += len(row) + 1
            if place >= end:
                break
    return {number: _apart(found) for number, found in marks.items()}, weights


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _window(rows: Sequence[str], weights: Sequence[float], lines: int) -> tuple[int, int]:
    """The best run of lines: most evidence, then with some context before it, then the first."""
    top = next((number for number, row in enumerate(rows) if row.strip()), 0)
    last = next((number for number in range(len(rows) - 1, -1, -1) if rows[number].strip()), 0) + 1
    lines = min(lines, last - top)
    if lines <= 0:
        return top, top
    sums = [sum(weights[top : top + lines])]
    for start in range(top + 1, last - lines + 1):
        sums.append(sums[-1] - weights[start - 1] + weights[start + lines - 1])
    best = top + max(range(len(sums)), key=lambda place: (round(sums[place], 9), -place))
    end = best + lines
    while best < end - 1 and not rows[best].strip():
        best += 1
    while end - 1 > best and not rows[end - 1].strip():
        end -= 1
    return best, end


def _line(number: int, row: str, spans: Sequence[tuple[int, int]], width: int) -> Line:
    row = "".join(map(_shown, row))
    shift = 0
    if len(row) > width:
        start = max(0, min(spans[0][0] - min(_BEFORE, width // 3), len(row) - width + 1)) if spans else 0
        kept = row[start : start + width - 2]
        before, after = (_CUT if start else ""), (_CUT if start + width - 2 < len(row) else "")
        row, shift = before + kept + after, len(before) - start
        inside = (len(before), len(before) + len(kept))
    else:
        inside = (0, len(row))
    moved = ((max(start + shift, inside[0]), min(end + shift, inside[1])) for start, end in spans)
    return Line(number, row, tuple((start, end) for start, end in moved if start < end))


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    if character < " ":
        return chr(0x2400 + ord(character))
    return (
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character
    )


def _marked(line: Line) -> str:
    parts, reached = list[str](), 0
    for start, end in line.spans:
        parts += [line.text[reached:start], _MARK, line.text[start:end], _END]
        reached = end
    return "".join([*parts, line.text[reached:]])
