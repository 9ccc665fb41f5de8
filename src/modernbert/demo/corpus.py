"""Real text without a network: the sources of Python's own standard library, or what the user points at.

Everything is read into memory: right for a demo and for some 100 MB. Large corpora are the business of `data`.
"""

import ast
import json
import os
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

from modernbert.core.errors import UserError
from modernbert.text.clean import find_surrogate

SUFFIXES = (".py", ".md", ".txt", ".rst", ".jsonl")
"""What counts as text in a folder."""

LEFT_OUT = frozenset(
    {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test"}  # not the library itself
    | {"encodings", "pydoc_data"}  # generated: 100 tables of 256 lines that differ in a few; the manual as one string
)
"""Folders of Python's library that are no use to learn from."""

FEWEST_FILES = 100
"""A whole standard library has about 500 to 600 files and 9 MB, Debian's `minimal` one some 150."""

FEWEST_LINES, MOST_LINES = 5, 40
"""Functions that are worth showing and fit on a screen."""

FEWEST_WORDS = 8
"""Docstrings that say more than the name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text with a name."""

    name: str
    """Path below the folder it came from, with `/`; for a line of a .jsonl file, `file.jsonl:7`."""
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A Python function with a docstring."""

    name: str
    """With module and classes: `json.decoder.JSONDecoder.decode`."""
    source: str
    """From `def` to the last line, without decorators, indented as if it stood alone."""


def standard_library() -> list[Document]:
    """Read the sources of the running Python's standard library, sorted by name, without tests and generated tables.

    Files which are not UTF-8 are left out, and empty ones.

    Raises:
        UserError: this Python came without most of its sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    documents = []
    for path in _walk(root, leave_out=LEFT_OUT):
        # `_sysconfigdata` is this machine's build settings, and `config-*` holds a script about them.
        if path.suffix != ".py" or path.name.startswith("_sysconfigdata") or path.parent.name.startswith("config-"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if text.strip():
            documents.append(Document(name=path.relative_to(root).as_posix(), text=text))
    if len(documents) < FEWEST_FILES:
        raise UserError(
            f"found {len(documents)} files of Python's standard library in {root}, expected at least {FEWEST_FILES}:"
            " this Python came without most of its sources; give a text of your own with --text PATH"
        )
    return sorted(documents, key=lambda document: document.name)


def from_path(path: str | Path) -> list[Document]:
    """Read a text file, a .jsonl file with a `text` in every line, or all such files in a folder, sorted by name.

    In a folder, files ending in `SUFFIXES` are read; hidden files and folders (`.git`, `.venv`) are not. Blank texts
    are dropped.

    Raises:
        UserError: there is nothing, or no text; or a file cannot be read, is not UTF-8 or not the JSON it should be.
    """
    path = Path(path)
    if path.is_dir():
        files = [file for file in _walk(path) if file.suffix in SUFFIXES]
        if not files:
            raise UserError(f"found no text in the folder {path}: expected files ending in {', '.join(SUFFIXES)}")
        names = {file.relative_to(path).as_posix(): file for file in files}
        read = [document for name in sorted(names) for document in _read(names[name], name)]
    elif path.exists():
        read = list(_read(path, path.name))
    else:
        raise UserError(f"found nothing at {path}: expected a text file, a .jsonl file or a folder; check the spelling")
    documents = [document for document in read if document.text.strip()]
    if not documents:
        raise UserError(f"{path} holds no text, only blank: expected something to learn from")
    return documents


def hold_out(documents: Sequence[Document], share: float = 0.05) -> tuple[list[Document], list[Document]]:
    """Divide documents into those to learn from and, about `share` of them, those to be tested on.

    The name decides, so a document stays on its side when others come and go. Each side gets at least one; a single
    document is cut in two at a line, its end held out. Of several documents with the same text only the first counts:
    what is tested must not have been learnt.

    Raises:
        UserError: `share` is not between 0 and 1; there is no document, or a single one of a single line.
    """
    if not 0 < share < 1:
        raise UserError(f"share is {share}, expected a number between 0 and 1, say 0.05")
    first: dict[str, Document] = {}
    for document in documents:
        first.setdefault(document.text, document)
    different = list(first.values())
    if not different:
        raise UserError("there is no document to hold out: expected two or more")
    if len(different) == 1:
        return _cut_in_two(different[0], share)
    places = [_place(document.name) for document in different]
    num_held_out = min(max(1, sum(place < share for place in places)), len(different) - 1)
    held_out = set(sorted(range(len(different)), key=places.__getitem__)[:num_held_out])
    return (
        [document for index, document in enumerate(different) if index not in held_out],
        [document for index, document in enumerate(different) if index in held_out],
    )


def functions(documents: Iterable[Document]) -> list[Function]:
    """Find the functions and methods with a docstring and `FEWEST_LINES` to `MOST_LINES` lines, in order.

    Functions inside functions are part of those. Documents that are not Python (or not this version's) are passed over.
    """
    found = []
    for document in documents:
        if document.name.endswith(".py"):
            module = document.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            text = document.text.replace("\r\n", "\n").replace("\r", "\n")
            lines = text.split("\n")  # as the parser counts them; splitlines() would also split at form feeds
            for name, node in _definitions(_parse(text), module):
                source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                num_lines = source.count("\n") + 1
                if FEWEST_LINES <= num_lines <= MOST_LINES and ast.get_docstring(node, clean=False):
                    found.append(Function(name=name, source=dedent(source)))
    return found


def docstrings(documents: Iterable[Document]) -> list[str]:
    """Collect what Python files say of their modules, classes and functions, in order, from `FEWEST_WORDS` words on."""
    found = []
    for document in documents:
        for node in ast.walk(_parse(document.text)) if document.name.endswith(".py") else ():
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                if len(text.split()) >= FEWEST_WORDS and find_surrogate(text) is None:
                    found.append(text)
    return found


def _walk(root: Path, leave_out: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All files below a folder, sorted, without hidden ones; links to folders are not followed."""
    for folder, folders, files in os.walk(root, onerror=_refuse_unreadable):
        folders[:] = sorted(name for name in folders if name not in leave_out and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _read(path: Path, name: str) -> Iterator[Document]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start}): convert it,"
            f" say  iconv -f latin1 -t utf-8,  or move it away"
        ) from None
    except OSError as error:
        _refuse_unreadable(error)
    if path.suffix != ".jsonl":
        yield Document(name=name, text=text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Document(name=f"{name}:{number}", text=_text_of(line, f"{path}, line {number}"))


def _text_of(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where} is not JSON ({error}): expected one object a line, as {{'text': '...'}}") from None
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise UserError(f"{where} has no 'text' that is a string: expected one object a line, as {{'text': '...'}}")
    if find_surrogate(text) is not None:
        raise UserError(f"{where} holds half of a surrogate pair, which is not valid Unicode: drop or repair the line")
    return text


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename} cannot be read ({error.strerror}): check its permissions, or move it away")


def _cut_in_two(document: Document, share: float) -> tuple[list[Document], list[Document]]:
    lines = document.text.strip().splitlines(keepends=True)  # stripped, so that neither side is blank
    if len(lines) < 2:
        raise UserError(
            f"found one text of one line ({document.name}), expected enough to learn from one part and test on another:"
            " give a longer one, a folder, or a .jsonl file with several"
        )
    cut = min(max(1, round(len(lines) * (1 - share))), len(lines) - 1)
    end = replace(document, name=f"{document.name} (end)", text="".join(lines[cut:]))
    return [replace(document, text="".join(lines[:cut]))], [end]


def _place(name: str) -> float:
    """A number from 0 to 1, the same for the same name on every machine."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's sources are no news to our user
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):  # ValueError: a NUL, in Python 3.11
            return ast.Module(body=[], type_ignores=[])


def _definitions(node: ast.AST, name: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}.{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _definitions(child, f"{name}.{child.name}")
        elif isinstance(child, ast.stmt | ast.ExceptHandler):  # `if` and `try` around definitions
            yield from _definitions(child, name)
