"""Bytes to text: UTF-8 where it is that, what the file declares of itself, else a guess that is named, never a silent one."""

import codecs
import re
from dataclasses import dataclass

from modernbert.core.errors import require
from modernbert.retrieval.documents.document import UnreadableError

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = {
    "code": re.compile(rb"\A(?:[ \t\f]*#[^\n]*\n|[ \t\f]*\r?\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)"),  # PEP 263
    "html": re.compile(rb"<meta[^>]{0,200}?charset[ \t]*=[ \t]*[\"']?([-\w.:]+)", re.IGNORECASE),
}
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and what its bytes were written in."""

    text: str
    r"""Line ends are `\n`."""
    encoding: str
    is_guess: bool


def decode(data: bytes, where: str, *, kind: str = "text") -> Decoded:
    """The text of a file.

    Raises:
        UnreadableError: it is binary, or in no encoding that can be told.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _as_declared(data[len(mark) :], encoding, where)
    if b"\0" in data:
        raise UnreadableError("binary", f"{where}: holds NUL bytes, expected text: it is binary")
    try:
        return Decoded(_plain(data.decode("utf-8")), "utf-8", is_guess=False)
    except UnicodeDecodeError as error:
        at, byte = error.start, data[error.start]
    declared = _DECLARED[kind].search(data[:_HEAD]) if kind in _DECLARED else None
    if declared and (found := _known(declared[1].decode("ascii"))) not in (None, "utf-8"):
        return _as_declared(data, str(found), where)
    if guess := _guess(data):
        return guess
    raise UnreadableError(
        "of an unknown encoding",
        f"{where}: byte 0x{byte:02X} at {at} is not UTF-8, and no other encoding fits: convert the file (iconv -t utf-8)",
    )


def _guess(data: bytes) -> Decoded | None:
    charset_normalizer = require("charset_normalizer", extra="documents")
    best = charset_normalizer.from_bytes(data).best()
    if best is None:
        return None
    try:
        return Decoded(_plain(data.decode(best.encoding)), best.encoding, is_guess=True)
    except UnicodeDecodeError:
        return None


def _as_declared(data: bytes, encoding: str, where: str) -> Decoded:
    try:
        return Decoded(_plain(data.decode(encoding)), encoding, is_guess=False)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            "of an unknown encoding",
            f"{where}: says it is {encoding}, but byte 0x{data[error.start]:02X} at {error.start} is not: convert the file"
            " (iconv -t utf-8)",
        ) from None


def _known(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
