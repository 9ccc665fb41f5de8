"""The definitions of a source file, by its grammar (tree-sitter): for what is broken or half written, as many as there are.

A definition's lines include what belongs to it: decorators, attributes, and comments right above it.
"""

import ast
import inspect
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from modernbert.core.errors import require
from modernbert.core.log import warn_once
from modernbert.retrieval.documents.languages import QUERIES, TYPES, WRAPPERS, WRAPPERS_OF_ONE

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

_LONGEST_SIGNATURE = 300
_LONGEST_DOC = 2000
_COMMENT_SIGNS = re.compile(r"^\s*(?:///?!?|//!|/\*+!?|\*+/|\*(?!/)|#+!?|--+)[ \t]?|\s*\*+/\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Something that has a name."""

    symbol: str
    """`Class.method`: the names around it, then its own."""
    kind: str
    first_line: int
    """From 1, decorators and comments above included."""
    line: int
    """Where the definition itself begins (for Python, the line of `def`)."""
    last_line: int
    signature: str
    doc: str
    parent: int | None
    """Its place in the list of the one around it; absent at the top."""

    @property
    def name(self) -> str:
        """The last part of the symbol."""
        return self.symbol.rpartition(".")[2]


def definitions(text: str, language: str) -> list[Definition]:
    """In order of their beginning, each before those within it; none in a language we know no definitions of."""
    grammar = _grammar(language) if language in QUERIES else None
    if grammar is None:
        return []
    from tree_sitter import QueryCursor

    parser, query = grammar
    data = text.encode("utf-8", "surrogatepass")
    found = QueryCursor(query).captures(parser.parse(data).root_node)
    above = _Above(data, found.pop("comment", []))
    nodes: dict[int, tuple[Node, str]] = {}
    for kind in _order(query):  # a special kind stands before the general one
        for node in found.get(kind, ()):
            nodes.setdefault(node.id, (node, kind))
    return _nested(sorted(nodes.values(), key=lambda n: (n[0].start_byte, -n[0].end_byte)), above, language)


class _Extent(NamedTuple):
    first: int
    last: int


class _Above:
    """The comments and attributes that have lines of their own, by the line they end on."""

    def __init__(self, data: bytes, comments: "list[Node]") -> None:
        self._ending: dict[int, tuple[int, str]] = {}
        for node in comments:
            line_start = data.rfind(b"\n", 0, node.start_byte) + 1
            if not data[line_start : node.start_byte].strip():
                self._ending[_last_row(node)] = (node.start_point.row, _decoded(node))

    def reach(self, row: int) -> tuple[int, str]:
        """The first row of the comments right above this one, and what they say."""
        said: list[str] = []
        while above := self._ending.get(row - 1):
            row = above[0]
            said.append(above[1])
        return row, "\n".join(reversed(said))


def _nested(nodes: "list[tuple[Node, str]]", above: _Above, language: str) -> list[Definition]:
    found: list[Definition] = []
    around: list[tuple[int, int]] = []  # (place in the list, end byte)
    for node, kind in nodes:
        while around and around[-1][1] <= node.start_byte:
            around.pop()
        name = _name(node)
        if not name:
            continue
        parent = around[-1][0] if around else None
        outer = found[parent] if parent is not None else None
        extent = _extent(node)
        first, comments = above.reach(extent.first)
        found.append(
            Definition(
                symbol=f"{outer.symbol}.{name}" if outer else name,
                kind="method" if kind == "function" and outer and outer.kind in TYPES else kind,
                first_line=first + 1,
                line=node.start_point.row + 1,
                last_line=max(extent.last, first) + 1,
                signature=_signature(node),
                doc=_docstring(node) if language == "python" else _plain(comments),
                parent=parent,
            )
        )
        around.append((len(found) - 1, node.end_byte))
    return found


@lru_cache(maxsize=len(QUERIES))
def _grammar(language: str) -> "tuple[Parser, Query] | None":
    """`None` where no grammar can be had on this system: said once, and the file is cut by lines."""
    grammars = require("semble_grammars", extra="documents")
    from tree_sitter import Query

    try:
        return grammars.get_parser(language), Query(grammars.get_language(language), QUERIES[language])
    except (grammars.UnsupportedPlatformError, grammars.GrammarLoadError, OSError) as error:
        warn_once("grammar", f"code is cut by lines, not by definitions: the grammars cannot be loaded ({error})")
        return None


@lru_cache(maxsize=len(QUERIES))
def _order(query: "Query") -> list[str]:
    return [query.capture_name(index) for index in range(query.capture_count)]


def _extent(node: "Node") -> _Extent:
    """The rows of a definition and of what is wrapped around it."""
    whole = node
    while (parent := whole.parent) is not None and (
        parent.type in WRAPPERS or (parent.type in WRAPPERS_OF_ONE and parent.named_child_count == 1)
    ):
        whole = parent
    return _Extent(whole.start_point.row, _last_row(whole))


def _last_row(node: "Node") -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point.row else row


def _name(node: "Node") -> str:
    if node.type == "impl_item":
        return _bare(node.child_by_field_name("type"))
    if node.type == "method_declaration" and (receiver := node.child_by_field_name("receiver")):
        return f"{_bare(_first(receiver, 'type_identifier'))}.{_bare(node.child_by_field_name('name'))}".lstrip(".")
    for field in ("name", "left", "key"):
        if named := node.child_by_field_name(field):
            return _bare(named)
    inner = node.child_by_field_name("declarator")
    while inner is not None:
        deeper = inner.child_by_field_name("declarator")
        if deeper is None and inner.type in ("parenthesized_declarator", "reference_declarator"):
            deeper = next(iter(inner.named_children), None)
        if deeper is None:
            return _bare(inner)
        inner = deeper
    return ""


def _first(node: "Node", kind: str) -> "Node | None":
    """The first node of a kind, from the outside in."""
    level = [node]
    while level:
        if found := next((inner for inner in level if inner.type == kind), None):
            return found
        level = [child for inner in level for child in inner.named_children]
    return None


def _bare(node: "Node | None") -> str:
    """A name without type arguments and quotes, its parts joined by dots."""
    if node is None:
        return ""
    name = _decoded(node)
    if not name.startswith("operator"):
        name = name.partition("<")[0].partition("\n")[0]
    return name.replace("::", ".").replace(":", ".").replace("->", ".").strip("\"'` \t")


def _signature(node: "Node") -> str:
    """All before the body, on one line."""
    body = node.child_by_field_name("body") or next(
        (child for child in node.children if child.type.endswith(("_body", "block"))), None
    )
    text = node.text or b""
    if body is not None and body.start_byte > node.start_byte:
        head = text[: body.start_byte - node.start_byte].decode("utf-8", "replace")
    else:
        head = text.partition(b"\n")[0].decode("utf-8", "replace")
    head = " ".join(head.split()).rstrip(" {=:;")
    return head if len(head) <= _LONGEST_SIGNATURE else f"{head[: _LONGEST_SIGNATURE - 1]}…"


def _docstring(node: "Node") -> str:
    body = node.child_by_field_name("body")
    first = next((child for child in body.named_children if child.type != "comment"), None) if body else None
    if first is None or first.type not in ("expression_statement", "string"):
        return ""
    literal = first if first.type == "string" else next(iter(first.named_children), None)
    if literal is None or literal.type != "string":
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that Python does not know
            said = ast.literal_eval(_decoded(literal))
    except (ValueError, SyntaxError):  # an f-string, or bytes that are no string
        return ""
    return inspect.cleandoc(said)[:_LONGEST_DOC] if isinstance(said, str) else ""


def _plain(comments: str) -> str:
    said = "\n".join(line for line in comments.split("\n") if not line.lstrip().startswith(("@", "#[")))
    return inspect.cleandoc(_COMMENT_SIGNS.sub("", said)).strip()[:_LONGEST_DOC]


def _decoded(node: "Node") -> str:
    return (node.text or b"").decode("utf-8", "replace")
