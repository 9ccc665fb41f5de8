"""A part of a corpus that is small enough to learn a vocabulary from, and the same in every run.

Documents are cut into passages, and of each path those with the smallest hashes are taken until they fill its share: a
uniform sample that depends neither on the order of documents nor on a seed. Everything is read once; memory holds the
sample. Not for training data: passages are taken out of their documents.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Literal

from modernbert.core.errors import UserError
from modernbert.data.sources import read_documents

PASSAGE = 20_000
"""Characters of a passage, at most; cut where white space begins, if there is any."""


def sample(
    paths: Sequence[str],
    *,
    most_bytes: int,
    text_field: str = "text",
    on_error: Literal["stop", "skip"] = "stop",
    per_line: bool = False,
) -> Iterator[str]:
    """Passages of all paths, in their order, that take at most `most_bytes` of UTF-8 together.

    Every path has an even share, whatever its size: so each source counts the same, and one that is smaller than its share
    gives all it has.

    Raises:
        UserError: a path cannot be read, or the share of one has no room for a passage.
    """
    share = most_bytes // max(1, len(paths))
    if share < 4 * PASSAGE:  # a character has four bytes at most
        raise UserError(
            f"most_bytes is {most_bytes} for {len(paths)} paths, expected {4 * PASSAGE:,} or more for each: raise it"
        )
    for path in paths or [""]:
        documents = read_documents([path] if path else [], text_field=text_field, on_error=on_error, per_line=per_line)
        yield from smallest_hashes((part for each in documents for part in passages(each.text)), share)


def smallest_hashes(texts: Iterable[str], most_bytes: int) -> list[str]:
    """The texts with the smallest hashes, as many as have room, in their order."""
    heap: list[tuple[int, int, str]] = []  # by the largest hash first
    size = 0
    for number, text in enumerate(texts):
        encoded = text.encode()
        digest = int.from_bytes(blake2b(encoded, digest_size=8, person=b"sampling").digest(), "big")
        size += len(encoded)
        heappush(heap, (-digest, -number, text))
        while size > most_bytes:
            size -= len(heappop(heap)[2].encode())
    return [text for _, text in sorted((-number, text) for _, number, text in heap)]


def passages(text: str) -> Iterator[str]:
    """Cut a text; the parts joined are the text.

    >>> from unittest.mock import patch
    >>> with patch("modernbert.data.sampling.PASSAGE", 8):
    ...     list(passages("one two three fourfourfour"))
    ['one two', ' three', ' fourfou', 'rfour']
    """
    start = 0
    while len(text) - start > PASSAGE:
        end = start + PASSAGE
        cut = max(text.rfind(white, start + 1, end) for white in "\n ")
        end = cut if cut > 0 else end
        yield text[start:end]
        start = end
    yield text[start:]
