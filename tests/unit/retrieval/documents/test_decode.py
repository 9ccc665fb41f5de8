import codecs

import pytest

from modernbert.retrieval.documents.decode import decode
from modernbert.retrieval.documents.document import UnreadableError

RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 4
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf8_is_read_with_and_without_its_mark(encoding):
    found = decode(JAPANESE.encode(encoding), "a.txt")
    assert (found.text, found.encoding, found.is_guess) == (JAPANESE, "utf-8", False)


@pytest.mark.parametrize(("mark", "encoding"), [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")])
def test_utf16_is_known_by_its_mark(mark, encoding):
    assert decode(mark + "ab\r\nc".encode(encoding), "a.txt").text == "ab\nc"


@pytest.mark.parametrize(("text", "encoding"), [(RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (JAPANESE, "shift_jis")])
def test_other_encodings_are_guessed_and_named(text, encoding):
    found = decode(text.encode(encoding), "a.txt")
    assert (found.text, found.is_guess) == (text, True)
    assert found.encoding != "utf-8"


def test_line_ends_are_one_sign():
    assert decode(b"a\r\nb\rc\n", "a.txt").text == "a\nb\nc\n"


def test_python_and_html_say_what_they_are():
    assert decode("# -*- coding: latin-1 -*-\n# é".encode("latin-1"), "a.py", kind="code").encoding == "iso8859-1"
    page = '<html><meta charset="iso-8859-2"><p>łódź'.encode("iso-8859-2")
    assert decode(page, "a.html", kind="html").text.endswith("łódź")


def test_what_a_file_says_of_itself_must_be_so():
    with pytest.raises(UnreadableError, match=r"a.py: says it is ascii, but byte 0xE9 at 18 is not: convert the file"):
        decode("# coding: ascii\n# é".encode("latin-1"), "a.py", kind="code")


def test_binary_is_refused():
    with pytest.raises(UnreadableError, match=r"a.txt: holds NUL bytes, expected text: it is binary") as caught:
        decode(b"PK\x03\x04\x00\x00", "a.txt")
    assert caught.value.reason == "binary"


def test_bytes_of_no_encoding_are_refused():
    with pytest.raises(
        UnreadableError, match=r"a.txt: byte 0x81 at 0 is not UTF-8, and no other encoding fits: convert"
    ):
        decode(bytes(range(0x81, 0x100)) * 3 + bytes([1, 2, 3, 0x81]) * 40, "a.txt")
