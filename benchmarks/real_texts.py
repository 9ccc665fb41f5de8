"""Texts that people have, from Python's standard library: short prose, code, and whole files, in fixed random order."""

import ast
import random
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, islice, zip_longest

from modernbert.demo.corpus import standard_library

LONG_SHARE = 33
"""One of so many mixed texts is a whole module; the others are functions and docstrings by halves."""


def texts(kind: str, count: int) -> list[str]:
    """The first so many of "docstrings", "functions", "modules" or "mixed"; from the front again where there are fewer."""
    found = KINDS[kind]()
    return [found[i % len(found)] for i in range(count)]


@cache
def _docstrings() -> list[str]:
    return _shuffled(text for source, node in _definitions() if (text := ast.get_docstring(node)))


@cache
def _functions() -> list[str]:
    return _shuffled(
        "\n".join(source[node.lineno - 1 : node.end_lineno])
        for source, node in _definitions()
        if not isinstance(node, ast.ClassDef)
    )


@cache
def _modules() -> list[str]:
    return _shuffled(document.text for document in standard_library() if document.name.endswith(".py"))


@cache
def _mixed() -> list[str]:
    short = [text for pair in zip(_docstrings(), _functions(), strict=False) for text in pair]
    groups = (short[i : i + LONG_SHARE - 1] for i in range(0, len(short), LONG_SHARE - 1))
    mixed = (
        [*group, long] for group, long in zip_longest(groups, islice(_modules(), len(short) // LONG_SHARE)) if long
    )
    return list(chain.from_iterable(mixed))


@cache
def _definitions() -> list[tuple[list[str], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    found = []
    for document in standard_library():
        with warnings.catch_warnings(action="ignore"):  # of the library's own syntax
            try:
                tree = ast.parse(document.text)
            except SyntaxError:
                continue
        lines = document.text.split("\n")
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found += [(lines, node) for node in ast.walk(tree) if isinstance(node, kinds)]
    return found


def _shuffled(found: Iterable[str]) -> list[str]:
    """Without repetitions: the library has many docstrings of one kind, and nobody embeds a text twice."""
    unique = sorted({text for text in found if text.strip()})
    random.Random(0).shuffle(unique)
    return unique


KINDS: dict[str, Callable[[], list[str]]] = {
    "docstrings": _docstrings,
    "functions": _functions,
    "modules": _modules,
    "mixed": _mixed,
}
