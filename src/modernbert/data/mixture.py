"""Which pieces are read when: an endless stream of blocks, each a shuffled sample of all sources in their shares.

Block b takes from a source the pieces floor(b q) to floor((b + 1) q) of that source's own stream, which is epoch after
epoch, each in an order of its own. The quota q is an exact fraction, so any block is known at once and is the same on
every machine, and shares are of tokens: they are kept however long the pieces of a source are, and within one piece a
source and block. Nothing is drawn with replacement: a source is read wholly before any of it is read again. Of a source
with fewer pieces than its quota, one block holds several epochs.

Shapes:  P pieces of a block
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np
from jaxtyping import Int

from modernbert.core.errors import ConfigError
from modernbert.core.seeds import Seeds
from modernbert.data.config import Rows, Source
from modernbert.data.pieces import Documents, Pieces
from modernbert.data.shuffle import Permutation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Pieces, one entry each."""

    sources: Int[np.ndarray, "P"]
    """Number of the source, in the order of the mapping."""
    documents: Int[np.ndarray, "P"]
    starts: Int[np.ndarray, "P"]
    ends: Int[np.ndarray, "P"]

    @property
    def lengths(self) -> Int[np.ndarray, "P"]:
        """Tokens of each piece, [CLS] and [SEP] included."""
        return self.ends - self.starts + 2

    def part(self, members: Int[np.ndarray, "M"]) -> "Block":
        """Some of the pieces, in this order."""
        return Block(
            sources=self.sources[members],
            documents=self.documents[members],
            starts=self.starts[members],
            ends=self.ends[members],
        )


class Mixture:
    """Sources and their shares. Without state: `block(b)` is the same whenever it is asked."""

    def __init__(self, sources: Mapping[str, tuple[Source, Documents]], rows: Rows, *, seeds: Seeds) -> None:
        """Count the pieces of every source.

        Raises:
            ConfigError: there is no source, or none of a source's documents is left.
        """
        if not sources:
            raise ConfigError("there is no source to read: expected one or more in data.sources")
        self._seeds = seeds
        self.names = [*sources]
        self._pieces = [
            Pieces(
                documents,
                length=rows.length,
                at_least=source.at_least,
                at_most=source.at_most,
                name=f"source {name}",
            )
            for name, (source, documents) in sources.items()
        ]
        weights = [Fraction(source.weight) for source, _ in sources.values()]
        self._shares = [weight / sum(weights) for weight in weights]
        rates = [
            share * len(pieces) / pieces.num_tokens for share, pieces in zip(self._shares, self._pieces, strict=True)
        ]
        self._quotas = [rows.look_ahead * rate / sum(rates) for rate in rates]

    def block(self, number: int) -> Block:
        """The pieces of one block, shuffled; none, where quotas below one piece have not added up yet."""
        columns = [self._taken(source, number) for source in range(len(self.names))]
        sources, documents, starts, ends = (np.concatenate(column) for column in zip(*columns, strict=True))
        whole = Block(sources=sources, documents=documents, starts=starts, ends=ends)
        order = Permutation(len(sources), self._seeds.for_("block", number))
        return whole.part(order(np.arange(len(sources))))

    def epochs(self, tokens: int) -> dict[str, float]:
        """How often each source will have been read after so many tokens, [CLS] and [SEP] included."""
        return {
            name: float(tokens * share / pieces.num_tokens)
            for name, share, pieces in zip(self.names, self._shares, self._pieces, strict=True)
        }

    def _taken(self, source: int, block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the block takes from one source, in the order of that source's stream."""
        pieces, quota = self._pieces[source], self._quotas[source]
        place, end = floor(block * quota), floor((block + 1) * quota)
        numbers = [np.empty(0, dtype=np.int64)]
        while place < end:
            epoch, first = divmod(place, len(pieces))
            last = min(len(pieces), first + end - place)
            order = Permutation(len(pieces), self._seeds.for_("epoch", self.names[source], epoch))
            numbers.append(order(np.arange(first, last)))
            place += last - first
        found = np.concatenate(numbers)
        return np.full(len(found), source), *pieces.find(found)
