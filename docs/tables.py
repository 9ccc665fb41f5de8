"""Tables that scripts write into pages: between `<!-- table NAME -->` and `<!-- end -->`; the rest of a page is left alone."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from modernbert.core.files import write_atomically


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables in their places."""

    def put(found: re.Match[str]) -> str:
        return f"{found[1]}\n\n{tables[found[2]]}\n\n<!-- end -->"

    return re.sub(r"(<!-- table (\w+) -->)\n.*?<!-- end -->", put, page, flags=re.DOTALL)


def table(rows: list[list[str]]) -> str:
    """Markdown; the first row is the head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Whole or not at all."""
    text = change(path.read_text(encoding="utf-8"))
    with write_atomically(path, "w") as file:
        file.write(text)
