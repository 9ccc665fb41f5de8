"""Windows of texts, tokenised ahead: while one runs, the next is being tokenised in a thread of its own.

The caller's iterable is only ever advanced in the caller's thread. Cursors and generators belong to the thread that made
them, and a thread of ours that waits for somebody's pipe could not be stopped.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

from modernbert.core.errors import UserError
from modernbert.text.clean import checked

Text = str | tuple[str, str]
"""A text, or a pair for a cross-encoder. All of one call are of one kind."""

Given = TypeVar("Given")
"""A text, or the ids of one."""

FIRST = 32
"""Texts of the first window. Each is four times as large as the one before: somebody who streams sees the first results
after a moment, and sorting gets the large window that it wants soon enough."""

GROWTH = 4

MOST_CHARACTERS = 4_000_000
"""Of a window: about a million tokens, 40 MB as lists. Enough to sort; 16,384 texts can be anything."""

PATIENCE = 1.0
"""Seconds of reading after which a window goes as it is: results must not wait for a slow source."""

_CHARACTERS = 4
"""Of a token."""

_PIECE = 256
"""Texts tokenised at a time: how long closing may have to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """Documents in the caller's order."""

    documents: list[list[int]]
    num_cut: list[int]
    """Tokens that each text lost at its end."""
    failure: Exception | None = None
    """What went wrong right behind these documents; to be raised when their results are out."""


def windows(
    texts: Iterable[Given], tokenize: Callable[[Sequence[Given], int], Tokenized], *, largest: int
) -> Generator[Tokenized, None, None]:
    """Windows of at most `largest` texts. Close it (or exhaust it), and its thread is gone.

    At most two windows are in memory: the one that the caller has, and the next.

    Args:
        tokenize: from texts and the number of the first one.
    """
    texts = iter(texts)
    waiting: deque[tuple[list[Future[Tokenized]], Exception | None]] = deque()
    num_read, size, is_over = 0, min(FIRST, largest), False
    num_ahead = 1  # the first results do not wait for the second window
    pool = ThreadPoolExecutor(1, thread_name_prefix="tokenize")
    try:
        while waiting or not is_over:
            while not is_over and len(waiting) < num_ahead:
                window, failure, is_over = read_window(texts, size)
                if window or failure:
                    waiting.append((_submit(pool, tokenize, window, num_read), failure))
                num_read += len(window)
                size = min(size * GROWTH, largest)
                del window
            if waiting:
                yield _join(*waiting.popleft())
            num_ahead = 2
    finally:
        pool.shutdown(cancel_futures=True)


def readable(texts: Iterable[Text]) -> Iterator[Text]:
    """The texts, checked one by one; the first decides whether they are texts or pairs.

    Raises:
        UserError: one of them is neither, or of the other kind, or not valid Unicode; or `texts` is a single string.
    """
    texts = iter(checked(texts) if isinstance(texts, str) else texts)  # which refuses one string
    for first in texts:
        everything = chain([first], texts)
        yield from _pairs(everything) if isinstance(first, tuple | list) else checked(everything)  # type: ignore[arg-type]
        return


def _pairs(texts: Iterable[Text]) -> Iterator[tuple[str, str]]:
    for number, pair in enumerate(texts):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            found = f"{len(pair)} things" if isinstance(pair, tuple | list) else type(pair).__name__
            raise UserError(
                f"texts[{number}] is {found}, expected a pair of strings like the first: give every text its pair"
            )
        one, other = checked(pair, f"texts[{number}]")
        yield one, other


def read_window(texts: Iterator[Given], size: int) -> tuple[list[Given], Exception | None, bool]:
    """A window, what stopped the source, and whether it is at its end."""
    window: list[Given] = []
    characters, until = 0, time.monotonic() + PATIENCE
    try:
        for text in islice(texts, size):
            window.append(text)
            characters += size_of(text)
            if characters >= MOST_CHARACTERS or time.monotonic() >= until:
                return window, None, False
    except Exception as failure:  # noqa: BLE001 (whatever it is, it is raised behind the results of the texts before it)
        return window, failure, True
    return window, None, len(window) < size


def size_of(given: object) -> int:
    """Characters of a text or a pair; of ids about as many. What is no text is counted as nothing, and refused when it is read."""
    if isinstance(given, str):
        return len(given)
    if not isinstance(given, tuple | list):
        return 0
    if given and isinstance(given[0], int):
        return _CHARACTERS * len(given)
    return sum(len(part) for part in given if isinstance(part, str))


def _submit(
    pool: ThreadPoolExecutor,
    tokenize: Callable[[Sequence[Given], int], Tokenized],
    window: list[Given],
    first: int,
) -> list[Future[Tokenized]]:
    return [pool.submit(tokenize, window[i : i + _PIECE], first + i) for i in range(0, len(window), _PIECE)]


def _join(pieces: list[Future[Tokenized]], failure: Exception | None) -> Tokenized:
    """One window of its pieces, up to the first failure."""
    documents: list[list[int]] = []
    num_cut: list[int] = []
    for future in pieces:
        try:
            piece = future.result()
        except Exception as broken:  # noqa: BLE001 (as above)
            return Tokenized(documents=documents, num_cut=num_cut, failure=broken)
        documents += piece.documents
        num_cut += piece.num_cut
        if piece.failure is not None:
            return Tokenized(documents=documents, num_cut=num_cut, failure=piece.failure)
    return Tokenized(documents=documents, num_cut=num_cut, failure=failure)
