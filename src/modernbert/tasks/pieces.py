"""Texts in pieces through the engine, and their results together again: one group a text, in order, streaming."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from modernbert.infer.engine import Engine, Reading

Given = TypeVar("Given")
Meant = TypeVar("Meant")
Result = TypeVar("Result")

_AT_ONCE = 256
"""Texts that are cut into pieces together."""


def in_pieces(
    engine: Engine,
    given: Iterable[Given],
    cut: Callable[[Sequence[Given]], Iterable[tuple[Meant, Sequence[list[int]]]]],
    read: Reading[Result],
    *,
    show_progress: bool = False,
) -> Iterator[tuple[Meant, list[Result]]]:
    """What `cut` knows of each text, and the results of its pieces.

    Args:
        cut: from a few texts, for each what its results will be read with, and the ids of its pieces (one or more).
    """
    waiting: deque[tuple[Meant, int]] = deque()

    def documents() -> Iterator[list[int]]:
        left = iter(given)
        while some := list(islice(left, _AT_ONCE)):
            for meant, pieces in cut(some):
                waiting.append((meant, len(pieces)))
                yield from pieces

    whole = documents()
    if isinstance(given, list | tuple) and len(given) <= _AT_ONCE:
        whole = list(whole)  # so that the engine sees when they are few
    results = engine.run_ids(whole, read, show_progress=show_progress)
    group: list[Result] = []
    for result in results:
        group.append(result)
        if len(group) == waiting[0][1]:
            yield waiting.popleft()[0], group
            group = []
