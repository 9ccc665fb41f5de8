"""The headings of a Markdown text. The text itself stays as it is, so that its lines are those of the file."""

import re
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import yaml

from modernbert.core.errors import require
from modernbert.retrieval.documents.document import Section

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_SIGNS = re.compile(r"[*_`]+|!?\[([^\]]*)\](?:\([^)]*\))?|<[^>]+>")


def read_markdown(text: str) -> tuple[str, tuple[Section, ...]]:
    """Title (of the front matter, else the one heading of the first level) and sections, the first from character 0.

    >>> read_markdown("Hello\\n\\n# One\\n\\ntext\\n\\n## *Two*\\n")[1][-1].headings
    ('One', 'Two')
    """
    front = _FRONT.match(text)
    body = text
    if front:  # as empty lines: CommonMark would read it as a rule and a heading
        body = "\n" * front[0].count("\n") + text[front.end() :]
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    sections, path = [Section(start=0)], list[tuple[int, str]]()
    title = _front_title(front[1]) if front else ""
    headings = _headings(body)
    highest = [heading for level, _, heading in headings if level == 1]
    if not title and len(highest) == 1:
        title = highest[0]
    for level, line, heading in headings:
        path = [(above, name) for above, name in path if above < level] + [(level, heading)]
        if sections[-1].start == starts[line]:
            sections.pop()
        sections.append(Section(start=starts[line], headings=tuple(name for _, name in path if name)))
    return title, tuple(sections)


def _headings(body: str) -> list[tuple[int, int, str]]:
    """(level, line from 0, plain words) of each, in order; those within quotes and lists do not part the text."""
    tokens = _parser().parse(body)
    return [
        (int(opening.tag[1]), opening.map[0], " ".join(_SIGNS.sub(r"\1", inside.content).split()))
        for opening, inside in pairwise(tokens)
        if opening.type == "heading_open" and opening.level == 0 and opening.map
    ]


@cache
def _parser() -> "MarkdownIt":
    markdown = require("markdown_it", extra="documents").MarkdownIt("commonmark")
    markdown.core.ruler.disable(["normalize", "inline", "text_join"])  # blocks are enough
    return markdown


def _front_title(front: str) -> str:
    try:
        fields = yaml.safe_load(front)
    except yaml.YAMLError:
        return ""  # it need not be YAML; the text is there all the same
    title = fields.get("title") if isinstance(fields, dict) else None
    return title if isinstance(title, str) else ""
