"""The words of a web page: what its main part shows, by headings; no scripts, menus, forms or footers."""

import re
from dataclasses import dataclass, field

from modernbert.core.errors import require
from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.document import Section

_NOT_SHOWN = (
    "script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "nav", "footer", "aside", "form",
    "button", "select", "dialog", "[hidden]", '[aria-hidden="true"]', '[role="navigation"]', '[role="search"]',
)  # fmt: skip
_MAIN = ("main", '[role="main"]', "article", "#content", "#main-content", "#bodyContent")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = _HEADINGS | {
    "p", "div", "section", "article", "main", "header", "ul", "ol", "dl", "dt", "dd", "table", "blockquote", "pre",
    "figure", "figcaption", "details", "summary", "hr", "address", "fieldset", "body",
}  # fmt: skip
_LINES = frozenset({"li", "tr", "br", "caption"})
_CELLS = frozenset({"td", "th"})


@dataclass(slots=True)
class Page:
    """What a page says. Lines of the text are blocks in the order of the page."""

    title: str = ""
    text: str = ""
    sections: tuple[Section, ...] = ()
    metadata: dict[str, Json] = field(default_factory=dict)


def read_html(source: str) -> Page:
    """Title, main text and sections; however broken the markup, as a browser would read it."""
    tree = require("selectolax.lexbor", extra="documents").LexborHTMLParser(source)
    title = _words(tree.css_first("title")) or _words(tree.css_first("h1"))
    metadata: dict[str, Json] = {}
    if (root := tree.root) is not None and (language := root.attributes.get("lang")):
        metadata["lang"] = language
    if (about := tree.css_first('meta[name="description"]')) and (content := about.attributes.get("content")):
        metadata["description"] = " ".join(content.split())
    for node in tree.css(", ".join(_NOT_SHOWN)):
        if node.tag not in ("body", "html", "main"):  # some pages hide the whole until a script has run
            node.decompose()
    if tree.body is None:
        return Page(title, metadata=metadata)
    shown = _Shown()
    shown.take(_main(tree))
    return Page(title, *shown.done(), metadata=metadata)


def _main(tree):  # noqa: ANN001, ANN202 (selectolax comes late)
    """The part that the page is about: one that is marked as such and holds at least a third of the words, else all."""
    whole = len(tree.body.text())
    for selector in _MAIN:
        found = tree.css(selector)
        if len(found) == 1 and 3 * len(found[0].text()) >= whole:
            return found[0]
    return tree.body


class _Shown:
    """Text as it grows. State: the blocks so far, the headings in force, and whether a break is due."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._break = ""
        self._path: list[tuple[int, str]] = []
        self._sections = [Section(start=0)]

    def take(self, top) -> None:  # noqa: ANN001
        """Read a part of the page, in order; a stack of our own, for pages may be nested deeper than Python calls."""
        stack: list[tuple[object, str, bool]] = [(top, "open", False)]
        while stack:
            node, state, is_plain = stack.pop()
            tag = node.tag  # type: ignore[attr-defined]
            if state == "close":
                self._due("\n\n" if tag in _BLOCKS else "\n")
            elif tag == "-text":
                self._write(node.text_content or "", is_plain)  # type: ignore[attr-defined]
            elif tag and not tag.startswith(("-", "!")):
                is_block = tag in _BLOCKS
                if is_block or tag in _LINES:
                    self._due("\n\n" if is_block else "\n")
                    stack.append((node, "close", False))
                if tag == "li":
                    self._write("- ", is_plain=True)
                elif tag in _CELLS and not self._break and self._length:
                    self._write(" | ", is_plain=True)
                elif tag in _HEADINGS:
                    self._heading(int(tag[1]), _words(node))
                below = [(child, "open", is_plain or tag == "pre") for child in _children(node)]
                stack.extend(reversed(below))

    def done(self) -> tuple[str, tuple[Section, ...]]:
        """The text and its sections."""
        text = "".join(self._parts).rstrip()
        return (f"{text}\n" if text else ""), tuple(self._sections)

    def _heading(self, level: int, name: str) -> None:
        if not name:
            return
        self._path = [(above, kept) for above, kept in self._path if above < level] + [(level, name)]
        start = self._length + (len(self._break) if self._parts else 0)
        if self._sections[-1].start == start:
            self._sections.pop()
        self._sections.append(Section(start=start, headings=tuple(kept for _, kept in self._path)))

    def _due(self, wanted: str) -> None:
        if len(wanted) > len(self._break):
            self._break = wanted

    def _write(self, text: str, is_plain: bool) -> None:
        if not is_plain:
            text = re.sub(r"\s+", " ", text)
        at_start = bool(self._break) or not self._parts
        if at_start or self._parts[-1].endswith((" ", "\n")):
            text = text if is_plain else text.lstrip(" ")
        if not text or (at_start and not text.strip()):
            return
        if self._break and self._parts:
            kept = self._parts[-1].rstrip(" ")
            self._length -= len(self._parts[-1]) - len(kept)
            self._parts[-1] = kept + self._break
            self._length += len(self._break)
        self._break = ""
        self._parts.append(text)
        self._length += len(text)


def _children(node) -> list:  # noqa: ANN001
    found, child = [], node.child
    while child is not None:
        found.append(child)
        child = child.next
    return found


def _words(node) -> str:  # noqa: ANN001
    return " ".join(node.text().split()) if node is not None else ""
