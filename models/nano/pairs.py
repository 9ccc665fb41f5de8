"""Pairs of texts that mean the same, out of what text brings along: a paper's title and abstract, a docstring and its code.

    python models/nano/pairs.py CORPUS --out pairs.jsonl
    python models/nano/pairs.py CORPUS --held-out --out held-out-pairs.jsonl

CORPUS is a folder with arxiv-*.jsonl.xz (title, blank line, abstract), wiki-*.jsonl.xz (title, blank line, article) and
python-*.jsonl.xz (source files), or with heldout-* of them. Every line of the output has `anchor`, `positive`, `source`.
"""

import argparse
import ast
import json
import lzma
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from modernbert.core.files import write_atomically
from modernbert.core.log import say

LONGEST = 2_000
"""Characters of a positive: more than the head is trained to read."""

FEWEST_WORDS = 3
"""Of an anchor: less says nothing."""

FEWEST_LINES = 3
"""Of code beneath a docstring."""


def main() -> None:
    """Find the pairs, shuffle, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("corpus", type=Path)
    words.add_argument("--held-out", action="store_true")
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--seed", type=int, default=17)
    given = words.parse_args()
    before = "heldout-" if given.held_out else ""
    found: list[dict[str, str]] = []
    for source, read in (("arxiv", _paragraphs), ("wiki", _paragraphs), ("python", functions)):
        seen = set()
        for path in sorted(given.corpus.glob(f"{before}{source}[-.]*jsonl.xz")):
            if "licences" in path.name:
                continue
            for text in _texts(path):
                for anchor, positive in read(text):
                    if anchor not in seen and len(anchor.split()) >= FEWEST_WORDS:
                        seen.add(anchor)
                        found.append({"anchor": anchor, "positive": positive[:LONGEST], "source": source})
        say(f"{source}: {len(seen):,} pairs")
    random.Random(given.seed).shuffle(found)
    with write_atomically(given.out, "w") as lines:
        lines.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in found)
    print(f"{given.out}: {len(found):,} pairs")


def _texts(path: Path) -> Iterator[str]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """Title and what follows."""
    title, _, rest = text.partition("\n\n")
    if rest.strip() and len(title) < 300:
        yield " ".join(title.split()), rest.strip()


def functions(text: str) -> Iterator[tuple[str, str]]:
    """The first paragraph of each docstring, and the function without it."""
    with warnings.catch_warnings(action="ignore"):  # of the file's own syntax
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not (told := ast.get_docstring(node)):
            continue
        first = node.body[0]
        code = lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno or first.lineno : node.end_lineno]
        if len(code) >= FEWEST_LINES:
            yield " ".join(told.partition("\n\n")[0].split()), dedent("\n".join(code))


if __name__ == "__main__":
    main()
