"""Pairs of texts that mean the same, out of what text brings along: a paper's title and abstract, a heading and its section, a
question and its answer, a sentence and what it was taken from, a docstring and its code.

    python models/nano/pairs.py CORPUS PACKAGES --out pairs.jsonl
    python models/nano/pairs.py CORPUS --held-out --out held-out-pairs.jsonl

Folders with arxiv-*.jsonl.xz (title, blank line, abstract), wiki-*.jsonl.xz (title, blank line, article with headings on
lines of their own that end in a full stop), wikinews-*.jsonl.xz (title, blank line, article), medquad-*.jsonl.xz (question, blank
line, answer) and python-*.jsonl.xz (source files; packages.py makes more of them), or with heldout-* of them. Functions that are in Python's
standard library are left out, for retrieval.py judges by them. Every line of the output has `anchor`, `positive`, `source`.
"""

import argparse
import ast
import json
import lzma
import random
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.demo.corpus import standard_library

LONGEST = 2_000
"""Characters of a positive: more than the head is trained to read."""

FEWEST_WORDS = 3
"""Of an anchor: less says nothing."""

LONGEST_HEADING = 60
"""Characters."""

SHORTEST_SECTION = 200
"""Characters of a section or paragraph: less says little about what is in it."""

FEWEST_SENTENCES = 3
"""Of a paragraph that one is taken out of."""

FEWEST_LINES = 3
"""Of code beneath a docstring."""


def main() -> None:
    """Find the pairs, shuffle, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folders", nargs="+", type=Path)
    words.add_argument("--held-out", action="store_true")
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--seed", type=int, default=17)
    given = words.parse_args()
    before = "heldout-" if given.held_out else ""
    found: list[dict[str, str]] = []
    draw = random.Random(given.seed)
    readers: dict[str, tuple[Callable[[str], Iterator[tuple[str, str]]], ...]] = {
        "arxiv": (_paragraphs, partial(_sentences, draw=draw, most=1)),
        "wiki": (_paragraphs, _sections, partial(_sentences, draw=draw, most=8)),
        "wikinews": (_paragraphs, partial(_sentences, draw=draw, most=1)),
        "medquad": (_paragraphs, partial(_sentences, draw=draw, most=1)),
        "python": (functions, _names),
    }
    judged = {"python": library()}
    for source, ways in readers.items():
        seen: set[str] = set()
        left_out = judged.get(source, frozenset())
        paths = (path for folder in given.folders for path in sorted(folder.glob(f"{before}{source}[-.]*jsonl.xz")))
        for path in paths:
            if "licences" in path.name:
                continue
            for text in _texts(path):
                for anchor, positive in (pair for read in ways for pair in read(text)):
                    if anchor not in seen and len(anchor.split()) >= FEWEST_WORDS and not left_out & {anchor, positive}:
                        seen.add(anchor)
                        found.append({"anchor": anchor, "positive": positive[:LONGEST], "source": source})
        say(f"{source}: {len(seen):,} pairs")
    random.Random(given.seed).shuffle(found)
    with write_atomically(given.out, "w") as lines:
        lines.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in found)
    print(f"{given.out}: {len(found):,} pairs")


def library() -> frozenset[str]:
    """Docstrings and functions of the running Python's standard library, some of which packages have copied."""
    return frozenset(one for document in standard_library() for pair in functions(document.text) for one in pair)


def _texts(path: Path) -> Iterator[str]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """Title and what follows."""
    title, _, rest = text.partition("\n\n")
    if rest.strip() and len(title) < 300:
        yield " ".join(title.split()), rest.strip()


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Title with heading, and the section beneath."""
    title, _, rest = text.partition("\n\n")
    heading, section = "", list[str]()
    for line in [*rest.split("\n"), "End."]:
        if line.endswith(".") and len(line) < LONGEST_HEADING and len(line.split()) <= 8:
            if heading and len(body := "\n".join(section).strip()) >= SHORTEST_SECTION:
                yield f"{' '.join(title.split())}: {heading}", body
            heading, section = line[:-1], []
        else:
            section.append(line)


def _sentences(text: str, *, draw: random.Random, most: int) -> Iterator[tuple[str, str]]:
    """A sentence that somebody might look for, and the paragraph without it (the inverse cloze task, arXiv 1906.00300)."""
    _, _, rest = text.partition("\n\n")
    paragraphs = [line for line in rest.split("\n") if len(line) >= SHORTEST_SECTION]
    for paragraph in draw.sample(paragraphs, min(most, len(paragraphs))):
        sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph[:LONGEST])
        if len(sentences) >= FEWEST_SENTENCES:
            taken = draw.randrange(len(sentences))
            yield sentences[taken], " ".join(sentences[:taken] + sentences[taken + 1 :])


def functions(text: str) -> Iterator[tuple[str, str]]:
    """The first paragraph of each docstring, and the function without it."""
    for node, lines in _functions_of(text):
        told = ast.get_docstring(node)
        if not told:
            continue
        first = node.body[0]
        code = lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno or first.lineno : node.end_lineno]
        if len(code) >= FEWEST_LINES:
            yield " ".join(told.partition("\n\n")[0].split()), dedent("\n".join(code))


def _names(text: str) -> Iterator[tuple[str, str]]:
    """The words of a function's name, and what it does."""
    for node, lines in _functions_of(text):
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", node.name).lower().split()
        body = lines[node.body[0].lineno - 1 : node.end_lineno]
        if len(body) >= FEWEST_LINES and not ast.get_docstring(node) and not node.name.startswith("test"):
            yield " ".join(words), dedent("\n".join(body))


def _functions_of(text: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, list[str]]]:
    """Each function of a file that parses, and the file's lines."""
    with warnings.catch_warnings(action="ignore"):  # of the file's own syntax
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, lines


if __name__ == "__main__":
    as_script(main)
