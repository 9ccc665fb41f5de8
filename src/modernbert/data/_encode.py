"""What a worker of `tokenize` does: a batch of texts becomes ids, on one core. Light, for every worker imports it anew."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from modernbert.data.shards import id_type
from modernbert.text.clean import without_layout
from modernbert.text.tokenizer import Tokenizer

_THREADS = "TOKENIZERS_PARALLELISM"  # read by `tokenizers` at every call

_tokenizer: list[Tokenizer] = []


class Ids(NamedTuple):
    """A batch of texts as ids, one after the other."""

    ids: np.ndarray
    lengths: list[int]
    """Tokens of each text; 0 where nothing is left of it."""
    is_held_out: list[bool]
    num_bytes: list[int]
    """Of each text's NFC in UTF-8."""


def start(folder: Path) -> None:
    """Make this process a worker."""
    os.environ[_THREADS] = "false"
    _tokenizer[:] = [Tokenizer.load(folder)]


def work(texts: Sequence[str], hold_out: float) -> Ids:
    """In a worker: `encode` with its tokenizer."""
    return encode(_tokenizer[0], texts, hold_out)


def encode(tokenizer: Tokenizer, texts: Sequence[str], hold_out: float) -> Ids:
    """Texts as ids without special ones. Those that a text spells out, such as "[SEP]", are ordinary text."""
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    rows = tokenizer.encode(composed, special=False, literal=True).ids
    lengths = [len(row) for row in rows]
    ids = np.empty(sum(lengths), dtype=id_type(tokenizer.vocab_size))
    place = 0
    for row in rows:
        ids[place : place + len(row)] = row
        place += len(row)
    return Ids(ids, lengths, [is_held_out(text, hold_out) for text in composed], [len(t.encode()) for t in composed])


def is_held_out(text: str, share: float) -> bool:
    """Whether a text is among those left for evaluation.

    Its hash decides, whatever its place, and white space does not count: so exact duplicates are on the same side.
    """
    if share <= 0:
        return False
    digest = blake2b(without_layout(text).encode(), digest_size=8, person=b"held out").digest()
    return int.from_bytes(digest, "big") < share * 2**64


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep `tokenizers` from spreading over all cores in this process, as it does by itself."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
