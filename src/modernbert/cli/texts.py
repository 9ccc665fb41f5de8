"""Texts from the command line, files or stdin: one a line, or the `text` of each line of JSONL."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from modernbert.core.errors import UserError


def read_texts(sources: Sequence[Path]) -> Iterator[str]:
    """Stream the texts of these files, or of stdin when there is none.

    Raises:
        UserError: a file is missing or not UTF-8, a line is empty or not what JSONL wants, or there is no text at all.
    """
    found = False
    for name, lines in _open(sources):
        for number, line in enumerate(lines, start=1):
            found = True
            yield _text(line, name, number)
    if not found:
        raise UserError("there is no text: found no line, expected one text a line in files or on stdin")


def _open(sources: Sequence[Path]) -> Iterator[tuple[str, Iterator[bytes]]]:
    if not sources:
        yield "stdin", iter(sys.stdin.buffer)
    for path in sources:
        try:
            file = path.open("rb")
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}): check the path") from None
        with file:
            yield str(path), iter(file)


def _text(line: bytes, name: str, number: int) -> str:
    where = f"{name}, line {number}"
    try:
        text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte {error.start} is not UTF-8: convert the text first (iconv -t utf-8)") from None
    if name.endswith(".jsonl"):
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON ({error}): expected one object with a 'text' a line") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise UserError(f'{where}: found no string under \'text\', expected an object such as {{"text": "..."}}')
        text = row["text"]
    if not text.strip():
        raise UserError(f"{where}: is empty: found no text, expected one text a line; drop the line")
    return text
