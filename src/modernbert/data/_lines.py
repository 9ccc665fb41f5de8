"""Rows from files of lines: JSON Lines and plain text, unpacked on the way."""

import json
from collections.abc import Iterator

from modernbert.data._faults import Faults
from modernbert.data._places import Place
from modernbert.data._rows import Fields, Row
from modernbert.data._unpack import unpacked

LONGEST_LINE = 256 * 2**20
"""Bytes. A longer line is no document but a file without line ends, and would fill the memory."""


def json_rows(place: Place, faults: Faults) -> Iterator[Row]:
    """The objects of a file, one a line; lines of white space are none."""
    for number, line in _lines(place, faults):
        where = f"{place.name}, line {number}"
        text = _decoded(line, where, faults)
        if text is None or not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            faults.meet(where, f"is no JSON ({error}), expected an object a line: is it cut off?")
            continue
        if isinstance(row, dict):
            yield Row(row, where, f"{place.name}:{number}", number)
        else:
            faults.meet(where, f'holds a {type(row).__name__}, expected an object such as {{"text": "..."}}')


def text_row(place: Place, fields: Fields, faults: Faults) -> Iterator[Row]:
    """A plain text file as one row."""
    with unpacked(place) as stream:
        try:
            content = stream.read()
        except Exception as error:  # noqa: BLE001 (every compression and every store has errors of its own)
            return faults.breaks(place.name, _broken(error))
    text = _decoded(content, place.name, faults)
    if text is not None:
        yield Row({fields.text: text}, place.name, place.name)


def text_rows(place: Place, fields: Fields, faults: Faults) -> Iterator[Row]:
    """The lines of a plain text file, less their ends; lines of white space are none."""
    for number, line in _lines(place, faults):
        where = f"{place.name}, line {number}"
        text = _decoded(line, where, faults)
        if text is not None and text.strip():
            yield Row({fields.text: text.rstrip("\r\n")}, where, f"{place.name}:{number}", number)


def _lines(place: Place, faults: Faults) -> Iterator[tuple[int, bytes]]:
    """Numbered from 1, with their ends. A stream that breaks is one fault: its rest is lost."""
    number = 0
    with unpacked(place) as stream:
        while True:
            try:
                line = stream.readline(LONGEST_LINE)
            except Exception as error:  # noqa: BLE001 (as above)
                return faults.breaks(f"{place.name}, after line {number}", _broken(error))
            if not line:
                return None
            number += 1
            if len(line) == LONGEST_LINE:
                fault = f"is longer than {LONGEST_LINE // 2**20} MiB, expected a document a line: is it one JSON array?"
                return faults.breaks(f"{place.name}, line {number}", fault)
            yield number, line


def _decoded(line: bytes, where: str, faults: Faults) -> str | None:
    try:
        return line.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        fault = f"byte 0x{line[error.start]:02X} at {error.start} is not UTF-8: convert the file first (iconv -t utf-8)"
        return faults.meet(where, fault)


def _broken(error: Exception) -> str:
    what = str(error) or type(error).__name__
    return f"the file breaks off or is damaged ({what}): get it anew"
