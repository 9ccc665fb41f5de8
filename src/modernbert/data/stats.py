"""What a folder of token shards holds: how many documents, how long they are, and into how many pieces a stage cuts them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from modernbert.core.errors import UserError
from modernbert.data.chunking import num_pieces
from modernbert.data.shards import Shards

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Lengths are tokens without [CLS] and [SEP]."""

    folder: str
    documents: int
    tokens: int
    shards: int
    vocab_size: int
    fingerprint: str
    shortest: int
    longest: int
    mean: float
    quantiles: dict[str, int]
    """The length that this share of documents does not exceed."""
    histogram: dict[int, int]
    """Documents by the power of two at which their length begins: 64 counts those of 64 to 127 tokens."""
    length: int
    """Of the pieces of a stage, [CLS] and [SEP] included."""
    longer: float
    """Share of documents that do not fit one piece."""
    longer_tokens: float
    """Share of tokens that are in these."""
    pieces: int
    """Of that length, all together."""
    is_verified: bool
    """Whether all files were read and compared with their checksums."""

    def as_dict(self) -> dict[str, object]:
        """All of it, for a program."""
        return asdict(self)


def stats(folder: str | Path, *, length: int = 1024, verify: bool = False) -> Stats:
    """Look at the lengths of all documents; tokens are read only to `verify` them.

    Raises:
        UserError: this is no folder of shards, or a damaged one, or `length` has no room for a token.
    """
    if length < 3:
        raise UserError(f"length is {length}, expected 3 or more: [CLS], a token and [SEP]")
    shards = Shards.open(folder)
    if verify:
        shards.verify()
    lengths = shards.lengths
    is_longer = num_pieces(lengths, length) > 1
    quantiles = np.quantile(lengths, QUANTILES, method="inverted_cdf")
    return Stats(
        folder=str(folder),
        documents=len(shards),
        tokens=shards.num_tokens,
        shards=len(shards.shards),
        vocab_size=shards.vocabulary.size,
        fingerprint=shards.fingerprint,
        shortest=int(lengths.min()),
        longest=int(lengths.max()),
        mean=shards.num_tokens / len(shards),
        quantiles={f"{share:g}": int(value) for share, value in zip(QUANTILES, quantiles, strict=True)},
        histogram=histogram(lengths),
        length=length,
        longer=float(is_longer.mean()),
        longer_tokens=float(lengths[is_longer].sum() / shards.num_tokens),
        pieces=int(num_pieces(lengths, length).sum()),
        is_verified=verify,
    )


def bars(histogram: dict[int, int], width: int = 40) -> Sequence[str]:
    """A histogram as lines of text, the fullest bin `width` characters wide.

    >>> print("\\n".join(bars({4: 2, 8: 1}, width=4)))
    4-7   ████ 2
    8-15  ██ 1
    """
    names = [str(start) if start == 1 else f"{start:,}-{2 * start - 1:,}" for start in histogram]
    widest, most = max(map(len, names)), max(histogram.values())
    return [
        f"{name.ljust(widest)}  {'█' * -(-count * width // most)} {count:,}"
        for name, count in zip(names, histogram.values(), strict=True)
    ]


def histogram(lengths: np.ndarray) -> dict[int, int]:
    """Every power of two between the shortest and the longest has its bin, empty ones too."""
    exponents = np.frexp(lengths.astype(np.float64))[1] - 1  # exact: lengths are far below 2**53
    counts = np.bincount(exponents)
    return {2**power: int(counts[power]) for power in range(int(exponents.min()), len(counts))}
