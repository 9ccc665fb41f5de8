"""The text of a PDF, page by page."""

import io
import logging
from dataclasses import dataclass, field

from modernbert.core.errors import require
from modernbert.retrieval.documents.document import Section, UnreadableError


@dataclass(slots=True)
class Pages:
    """The text, and a section for each page that has some."""

    text: str = ""
    title: str = ""
    sections: tuple[Section, ...] = ()
    faults: list[str] = field(default_factory=list)
    """Pages that could not be read, and pages without text."""


def read_pdf(data: bytes, where: str) -> Pages:
    """All pages, parted by an empty line.

    Raises:
        UnreadableError: it is broken, needs a password, or shows pictures only.
    """
    pypdf = require("pypdf", extra="documents")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each oddity it got over
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("locked", f"{where}: needs a password: save it without one")
        title = (reader.metadata.title if reader.metadata else None) or ""
        num_pages = len(reader.pages)
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001 (a broken file can fail anywhere in it)
        what = str(error).strip() or type(error).__name__
        raise UnreadableError("broken", f"{where}: is no PDF that can be read ({what}): get it anew") from None
    return _joined(reader, num_pages, title, where)


def _joined(reader, num_pages: int, title: str, where: str) -> Pages:  # noqa: ANN001 (pypdf comes late)
    parts, sections, length = [], list[Section](), 0
    pages = Pages(title=" ".join(str(title).split()))
    without: list[int] = []
    for number in range(1, num_pages + 1):
        try:
            text = reader.pages[number - 1].extract_text().replace("\r\n", "\n").replace("\r", "\n").strip()
        except Exception as error:  # noqa: BLE001 (as above)
            pages.faults.append(f"{where}, page {number}: cannot be read ({str(error) or type(error).__name__})")
            continue
        text = (
            text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
        )  # a broken font may give half a character
        if not text:
            without.append(number)
            continue
        sections.append(Section(start=length, page=number))
        parts.append(text + "\n\n")
        length += len(parts[-1])
    if not parts:
        why = pages.faults[0] if pages.faults else f"{where}: shows pictures only, expected text: run it through OCR"
        raise UnreadableError("without text", why)
    if without:
        numbers = ", ".join(map(str, without[:10])) + (", ..." if len(without) > 10 else "")
        pages.faults.append(f"{where}: no text on {len(without)} of {num_pages} pages ({numbers})")
    pages.text, pages.sections = "".join(parts), tuple(sections)
    return pages
