"""What a person typed, taken apart: words to be understood, `"literals"`, `/patterns/` and names of code, in one line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.identifiers import words_of

_PART = re.compile(
    r"""(?<!\S)(?:"(?P<literal>[^"]+)"|`(?P<code>[^`]+)`|/(?P<pattern>(?!\s)(?:[^/\\]|\\.)+(?<!\s))/(?P<flags>[im]*))(?!\S)"""
)
_NAME = re.compile(r"[^\W\d]\w*(?:(?:\.|::|->|#)~?[^\W\d]\w*)*(?:\(\))?")
_WORD = re.compile(r"[^\s\"'`,;:!?()\[\]{}<>]+")
_SHORT = 3


@dataclass(frozen=True)
class Query:
    """A question, by the ways to answer it."""

    text: str
    """For encoders and BM25: all but the patterns, without quotes."""
    literals: tuple[str, ...] = ()
    """What must stand there as it is; capitals count where there are any."""
    patterns: tuple[re.Pattern[str], ...] = ()
    """What must match."""
    symbols: tuple[str, ...] = ()
    """Words that look like names of code, parts joined by dots: `Foo.bar`, `load_weights`, `HTTPServer`."""

    @property
    def is_strict(self) -> bool:
        """Whether it accepts some texts only."""
        return bool(self.literals or self.patterns)

    def accepts(self, text: str) -> bool:
        """Whether all literals and patterns are found."""
        return all(pattern.search(text) for pattern in self._required)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where its literals, patterns and words (of three letters and more, at the beginning of a word) stand in a text."""
        return sorted(
            {
                found.span()
                for pattern in (*self._required, *self._words)
                for found in pattern.finditer(text)
                if found[0]
            }
        )

    @cached_property
    def _required(self) -> tuple[re.Pattern[str], ...]:
        return (*self.patterns, *(re.compile(re.escape(found), _case(found)) for found in self.literals))

    @cached_property
    def _words(self) -> tuple[re.Pattern[str], ...]:
        words = {word.lower() for word in _WORD.findall(self.text) if len(word) >= _SHORT}
        words |= {part for name in self.symbols for part in words_of(name) if len(part) >= _SHORT}
        return tuple(re.compile(rf"(?<![^\W_]){re.escape(word)}", re.IGNORECASE) for word in sorted(words))


def parse_query(line: str) -> Query:
    """Take a line apart; what is no literal and no pattern is text, however it is written.

    A pattern begins and ends with a slash, with white space around both: `/usr/lib` is text. `/…/i` ignores case, `/…/m`
    lets `^` and `$` match at every line.

    >>> query = parse_query('load weights /def load/ "as is" Foo.bar')
    >>> query.text, query.literals, [pattern.pattern for pattern in query.patterns], query.symbols
    ('load weights as is Foo.bar', ('as is',), ['def load'], ('Foo.bar',))

    Raises:
        UserError: a pattern is no regular expression, or the line is empty.
    """
    text, literals, patterns = list[str](), list[str](), list[re.Pattern[str]]()
    reached = 0
    for part in _PART.finditer(line):
        text.append(line[reached : part.start()])
        reached = part.end()
        if part["pattern"]:
            patterns.append(_compiled(part["pattern"], part["flags"]))
        else:
            literals.append(part["literal"] or part["code"])
            text.append(literals[-1])
    text.append(line[reached:])
    plain = " ".join(" ".join(text).split())
    if not plain and not patterns:
        raise UserError(
            'found an empty query, expected words, "literals", /patterns/ or names: write what you look for'
        )
    return Query(plain, tuple(literals), tuple(patterns), tuple(dict.fromkeys(_symbols(plain))))


def _symbols(text: str) -> Iterator[str]:
    for found in _NAME.finditer(text):
        name = found[0]
        bare = name.removesuffix("()").replace("::", ".").replace("->", ".").replace("#", ".")
        is_abbreviation = "." in name and all(len(part) == 1 for part in name.split("."))  # e.g
        if not is_abbreviation and (name.endswith("()") or "." in bare or "_" in bare or _is_camel(bare)):
            yield bare


def _is_camel(name: str) -> bool:
    """Whether capitals stand within: `loadWeights`, `HTTPServer`, but neither `Load` nor `HTTP`."""
    return any(a.islower() and b.isupper() for a, b in pairwise(name)) or bool(re.search(r"[A-Z]{2,}[a-z]{2,}", name))


def _compiled(pattern: str, flags: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, sum({"i": re.IGNORECASE, "m": re.MULTILINE}[flag] for flag in set(flags)))
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(
            f'/{pattern}/: is no regular expression ({error}): correct it, or quote it: "{pattern}"'
        ) from None


def _case(literal: str) -> re.RegexFlag:
    return re.NOFLAG if any(character.isupper() for character in literal) else re.IGNORECASE
