"""Refuse what is not text before Rust sees it, and say which one it is; and when two texts are the same.

Not for repairing or filtering text: what to do about a bad text is the caller's decision.
"""

import unicodedata
from collections.abc import Iterable, Iterator

from modernbert.core.errors import UserError


def checked(texts: Iterable[str], name: str = "texts") -> Iterator[str]:
    """Pass texts on, one by one, and stop at the first that is not valid Unicode text.

    `name` is what the caller's argument is called, for the message.

    Raises:
        UserError: `texts` is a single string, or one of them is not a string or holds a lone surrogate.

    >>> list(checked(["one", "two"]))
    ['one', 'two']
    """
    if isinstance(texts, str):
        raise UserError(f"{name} is one string, expected several texts: write [{_shortened(texts)}]")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"{name}[{index}] is of type {type(text).__name__}, expected a string: convert or drop it")
        place = find_surrogate(text)
        if place is not None:
            raise UserError(
                f"{name}[{index}] holds a lone surrogate U+{ord(text[place]):04X} at character {place}: it is not valid"
                " Unicode; replace it (e.g. text.encode('utf-8', 'replace').decode()) or drop the text"
            )
        yield text


def find_surrogate(text: str) -> int | None:
    r"""Find the first lone surrogate, half of a pair that UTF-8 cannot write; `None` when there is none.

    They come from cutting UTF-16, from `"\ud83d"` in somebody's JSON, and from `errors="surrogateescape"`.

    >>> find_surrogate("ab\ud800")
    2
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def without_layout(text: str) -> str:
    r"""Texts are the same when this is: in NFC, with one space where there is any white space, and none around.

    Splits into held-out and training text follow from it, so it must never change.

    >>> without_layout("two\n\n words ")
    'two words'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 30 else f"{text[:29]}…")
