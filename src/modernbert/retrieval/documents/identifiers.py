"""Identifiers as the words they are made of."""

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=2**16)
def words_of(identifier: str) -> tuple[str, ...]:
    """The words of a name, in small letters: parted at capitals, digits, and whatever is neither letter nor digit.

    >>> words_of("getHTTPResponse2xx"), words_of("__init_subclass__"), words_of("std::vector")
    (('get', 'http', 'response', '2', 'xx'), ('init', 'subclass'), ('std', 'vector'))
    """
    found: list[str] = []
    start = 0
    kinds = [_kind(character) for character in identifier] + [" "]
    for place in range(1, len(kinds)):
        before, here = kinds[place - 1], kinds[place]
        after = kinds[place + 1] if place + 1 < len(kinds) else " "
        is_edge = before != here and not (before == "A" and here == "a")
        is_last_capital = before == here == "A" and after == "a"  # HTTPResponse: the R belongs to what follows
        if is_edge or is_last_capital:
            if before != " ":
                found.append(identifier[start:place].lower())
            start = place
    return tuple(found)


def _kind(character: str) -> str:
    if character.isupper():
        return "A"
    if character.isalpha() or unicodedata.category(character)[0] == "M":
        return "a"
    return "0" if character.isnumeric() else " "
