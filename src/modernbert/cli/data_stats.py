"""`modernbert data stats`: what folders of token shards hold."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from modernbert.data.stats import Stats as Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Count documents and tokens, show how long documents are, and check that nothing is damaged."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that `modernbert data tokenize` wrote."""
    length: int = 1024
    """Tokens of a piece, [CLS] and [SEP] included, as in a recipe's rows."""
    verify: bool = False
    """Read all files and compare them with their checksums; otherwise only their sizes are."""
    json: bool = False
    """Print one JSON object a folder."""

    def run(self) -> None:
        """Read and print."""
        from modernbert.core.errors import UserError
        from modernbert.data.stats import stats

        if not self.folders:
            raise UserError("found no folder, expected one or more that `modernbert data tokenize` wrote")
        for folder in self.folders:
            figures = stats(folder, length=self.length, verify=self.verify)
            if self.json:
                print(json.dumps(figures.as_dict()))
                continue
            for line in _lines(figures):
                print(line)


def _lines(figures: "Figures") -> Iterator[str]:
    from modernbert.data.stats import bars

    yield f"{figures.folder}: {figures.documents:,} documents, {figures.tokens:,} tokens of {figures.vocab_size:,} kinds"
    quantiles = ", ".join(f"{float(share):.0%} {length:,}" for share, length in figures.quantiles.items())
    yield f"  tokens a document: {figures.mean:,.1f} on average, {figures.shortest:,} to {figures.longest:,}"
    yield f"  that share has at most so many: {quantiles}"
    yield (
        f"  longer than {figures.length:,} with [CLS] and [SEP]: {figures.longer:.1%} of documents, "
        f"{figures.longer_tokens:.1%} of tokens; {figures.pieces:,} pieces of that length"
    )
    yield from (f"    {line}" for line in bars(figures.histogram))
    checked = (
        "all checksums are right" if figures.is_verified else "sizes are right, checksums not asked for (--verify)"
    )
    shards = "1 shard" if figures.shards == 1 else f"{figures.shards:,} shards"
    yield f"  {shards}, fingerprint {figures.fingerprint[:16]}: {checked}"
