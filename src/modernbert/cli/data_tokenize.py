"""`modernbert data tokenize`: a corpus becomes token shards."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from modernbert.data.config import Filters

if TYPE_CHECKING:
    from modernbert.data.tokenize import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenize:
    """Read documents, filter them, and write their tokens into a folder that training reads."""

    paths: tyro.conf.Positional[tuple[str, ...]]
    """Files, folders, patterns or addresses: .jsonl, .parquet, .arrow, text; .gz, .bz2, .xz, .zst; s3://, gs://, hf://."""
    tokenizer: str
    """Folder of the tokenizer, or a packaged model's name; a copy goes into the shards."""
    out: Path
    """Folder of the shards; it must not be there yet."""
    filters: Annotated[Filters, tyro.conf.arg(name="")]
    hold_out: float = 0.0
    """Share of documents that go to OUT/held-out and are never trained on, such as 0.01; a hash of the text chooses."""
    num_workers: int | None = None
    """Processes that tokenize; absent: one a core. The shards are the same for any number."""
    dropped: Path | None = None
    """A .jsonl file of the documents that were left out, and why."""
    text_field: str = "text"
    """Key or column of the text."""
    id_field: str = "id"
    """Key or column of the id."""
    on_error: Literal["stop", "skip"] = "stop"
    """What happens when a row cannot be read: nothing is written, or it is left out and counted."""
    per_line: bool = False
    """Plain text files hold a document a line."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Tokenize and sum up."""
        from modernbert.data.tokenize import tokenize

        outcome = tokenize(
            self.paths,
            tokenizer=self.tokenizer,
            out=self.out,
            filters=self.filters,
            hold_out=self.hold_out,
            num_workers=self.num_workers,
            dropped=self.dropped,
            text_field=self.text_field,
            id_field=self.id_field,
            on_error=self.on_error,
            per_line=self.per_line,
        )
        if self.json:
            print(json.dumps(outcome.as_dict() | {"out": str(self.out)}))
            return
        for line in _lines(outcome):
            print(line)
        print(f"shards: {self.out}")


def _lines(outcome: "Outcome") -> Iterator[str]:
    yield f"to train on: {outcome.documents:,} documents, {outcome.tokens:,} tokens"
    if outcome.held_out_documents:
        yield f"held out: {outcome.held_out_documents:,} documents, {outcome.held_out_tokens:,} tokens"
    yield f"bytes per token: {outcome.bytes_per_token:.2f}"
    for reason, count in sorted(outcome.dropped.items(), key=lambda item: (-item[1], item[0])):
        yield f"dropped for {reason}: {count:,}"
    yield f"speed: {outcome.mb_per_second:.2f} MB/s, {outcome.mb_per_core_second:.2f} MB/s per core"
