"""From documents to token shards: read, filter, compose (NFC), tokenize, write; in one pass, on all cores.

The shards are the same, byte for byte, for any number of workers: documents are read and filtered by this process, cut
into batches of 1 MB that do not depend on the workers, and written in their order. With a vocabulary of 50,368 a worker
takes 130 MB and this process 100, and besides what the filters remember.
"""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Literal, NamedTuple

from modernbert.core.config import to_plain
from modernbert.core.cores import cores
from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.core.log import progress
from modernbert.data import _encode
from modernbert.data._encode import Ids
from modernbert.data.config import Filters
from modernbert.data.filters import keep
from modernbert.data.shard_writer import SHARD_TOKENS, ShardWriter, write_shards
from modernbert.data.shards import TOKENIZER
from modernbert.data.sources import Document, read_documents
from modernbert.text.tokenizer import Tokenizer

HELD_OUT = "held-out"
"""Folder of the documents that are never trained on, inside the others'."""

_BATCH = 1_000_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a corpus."""

    documents: int
    """Written to train on."""
    tokens: int
    """Of these, without special ones."""
    held_out_documents: int
    held_out_tokens: int
    dropped: dict[str, int]
    """Documents by what was wrong with them."""
    bytes_read: int
    """UTF-8 of all texts, dropped ones included."""
    bytes_kept: int
    """UTF-8 of the texts that were written, in NFC."""
    seconds: float
    core_seconds: float
    """Processor time of all processes together."""

    @property
    def bytes_per_token(self) -> float:
        """The more, the better the tokenizer fits the text."""
        return self.bytes_kept / max(1, self.tokens + self.held_out_tokens)

    @property
    def mb_per_second(self) -> float:
        """Million bytes of text read a second."""
        return self.bytes_read / 1e6 / max(1e-9, self.seconds)

    @property
    def mb_per_core_second(self) -> float:
        """Million bytes of text read a second of processor time: what one core does."""
        return self.bytes_read / 1e6 / max(1e-9, self.core_seconds)

    def as_dict(self) -> dict[str, object]:
        """All of it, for a program."""
        names = ("bytes_per_token", "mb_per_second", "mb_per_core_second")
        return asdict(self) | {name: getattr(self, name) for name in names}


class _Entry(NamedTuple):
    """A document on its way, or the note of one that was dropped."""

    id: str
    source: str
    text: str
    reason: str
    """Empty while it is on its way."""


def tokenize(
    paths: Sequence[str],
    *,
    tokenizer: str | Path,
    out: str | Path,
    filters: Filters | None = None,
    hold_out: float = 0.0,
    num_workers: int | None = None,
    dropped: str | Path | None = None,
    text_field: str = "text",
    id_field: str = "id",
    on_error: Literal["stop", "skip"] = "stop",
    per_line: bool = False,
    shard_tokens: int = SHARD_TOKENS,
) -> Outcome:
    """Turn the documents of files into a folder of token shards.

    A special token spelled out in a text ("[SEP]") is ordinary text here. Documents without a token are dropped.

    Args:
        paths: What `read_documents` takes, as it takes `text_field`, `id_field`, `on_error` and `per_line`.
        tokenizer: A tokenizer's folder, or a packaged model's name; a copy goes into the shards.
        out: The folder of shards; it must not be there yet, and is there only when all is done.
        filters: Which documents stay; absent: the defaults.
        hold_out: Share of documents that go to `out/held-out`, shards of their own. A hash of the text chooses them, so
            the same text is on the same side in every corpus.
        num_workers: Processes that tokenize; absent: one a core; 0: this process does, on one core.
        dropped: A .jsonl file of the documents left out, with id, source and reason, in their order.
        shard_tokens: A shard is closed when it holds so many.

    Raises:
        UserError: something cannot be read or written, no document is left, or none falls on one of the two sides.
    """
    if not 0 <= hold_out < 1:
        raise UserError(f"hold_out is {hold_out}, expected a share from 0 to below 1, such as 0.01")
    num_workers = len(cores()) if num_workers is None else num_workers
    if num_workers < 0:
        raise UserError(f"num_workers is {num_workers}, expected 0 or more")
    filters = filters or Filters()
    out, loaded = Path(out), Tokenizer.load(tokenizer)
    began, cores_began = time.perf_counter(), _core_seconds()
    facts = {
        "paths": [os.fspath(path) for path in paths],
        "text_field": text_field,
        "filters": to_plain(filters),
        "hold_out": hold_out,
    }
    with ExitStack() as stack:
        kept = stack.enter_context(write_shards(out, loaded, made_from=facts, shard_tokens=shard_tokens))
        held = None
        if hold_out:
            folder = kept.folder / HELD_OUT
            held = stack.enter_context(write_shards(folder, loaded, made_from=facts, shard_tokens=shard_tokens))
        notes = stack.enter_context(write_atomically(dropped, "w")) if dropped is not None else None
        run = _Run(kept, held, notes)
        documents = read_documents(
            paths, text_field=text_field, id_field=id_field, on_error=on_error, per_line=per_line
        )
        with _encoder(num_workers, kept.folder / TOKENIZER, loaded) as encode, progress("speed") as bar:
            task = bar.add_task("tokenizing", total=None)
            for entries, ids in encode(_batches(run.counted(documents), filters), hold_out):
                run.write(entries, ids)
                bar.update(task, completed=run.num_documents, speed=run.speed(time.perf_counter() - began))
        run.finish()
    return Outcome(
        documents=kept.num_documents,
        tokens=kept.num_tokens,
        held_out_documents=held.num_documents if held else 0,
        held_out_tokens=held.num_tokens if held else 0,
        dropped=dict(sorted(run.dropped.items())),
        bytes_read=run.bytes_read,
        bytes_kept=run.bytes_kept,
        seconds=time.perf_counter() - began,
        core_seconds=_core_seconds() - cores_began,
    )


class _Run:
    """The writing end. State: what has been counted so far."""

    def __init__(self, kept: ShardWriter, held: ShardWriter | None, notes: IO[str] | None) -> None:
        self.dropped: Counter[str] = Counter()
        self.num_documents = 0
        self.bytes_read = 0
        self.bytes_kept = 0
        self._kept, self._held, self._notes = kept, held, notes

    def counted(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            self.bytes_read += len(document.text.encode())
            yield document

    def write(self, entries: list[_Entry], batch: Ids) -> None:
        """Bring documents and notes of dropped ones where they belong, in their order."""
        place, facts = 0, zip(batch.lengths, batch.is_held_out, batch.num_bytes, strict=True)
        for entry in entries:
            self.num_documents += 1
            if entry.reason:
                self._drop(entry, entry.reason)
                continue
            length, is_held_out, num_bytes = next(facts)
            if not length:
                self._drop(entry, "empty: no token is left of it")
                continue
            writer = self._held if is_held_out and self._held else self._kept
            writer.append(batch.ids[place : place + length])
            self.bytes_kept += num_bytes
            place += length

    def finish(self) -> None:
        """Refuse an outcome that nobody can train or evaluate on; note what was left out."""
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(self.dropped.items()))
        num_kept, num_held = self._kept.num_documents, self._held.num_documents if self._held else 0
        if not num_kept + num_held:
            raise UserError(f"all {self.num_documents} documents were dropped ({reasons}): loosen the filters")
        if self._held and not (num_kept and num_held):
            raise UserError(
                f"hold_out leaves {num_kept} documents to train on and {num_held} to evaluate on, expected one or more"
                " each: give it more documents or another share"
            )
        for writer in (self._kept, self._held):
            if writer:
                writer.made_from |= {
                    "documents_read": self.num_documents,
                    "dropped": dict(sorted(self.dropped.items())),
                }

    def speed(self, seconds: float) -> str:
        tokens = self._kept.num_tokens + (self._held.num_tokens if self._held else 0)
        return f"{self.bytes_read / 1e6 / seconds:.1f} MB/s, {tokens / seconds:,.0f} tokens/s"

    def _drop(self, entry: _Entry, reason: str) -> None:
        self.dropped[reason.partition(":")[0]] += 1
        if self._notes is not None:
            row = {"id": entry.id, "source": entry.source, "reason": reason}
            self._notes.write(json.dumps(row, ensure_ascii=False) + "\n")


def _batches(documents: Iterable[Document], filters: Filters) -> Iterator[list[_Entry]]:
    entries: list[_Entry] = []
    size = 0

    def note(document: Document, reason: str) -> None:
        entries.append(_Entry(document.id, document.source, "", reason))

    for document in keep(documents, filters, dropped=note):
        entries.append(_Entry(document.id, document.source, document.text, ""))
        size += len(document.text)
        if size >= _BATCH:
            yield [*entries]
            entries.clear()
            size = 0
    yield entries


_Encode = Callable[[Iterable[list[_Entry]], float], Iterator[tuple[list[_Entry], Ids]]]


@contextmanager
def _encoder(num_workers: int, folder: Path, tokenizer: Tokenizer) -> Iterator[_Encode]:
    """Something that encodes batches, in their order: in this process, or in so many others."""
    if not num_workers:
        with _encode.one_thread():
            yield lambda batches, hold_out: (
                (batch, _encode.encode(tokenizer, _texts(batch), hold_out)) for batch in batches
            )
        return
    # Spawned and not forked: a fork copies threads' locks in whatever state they are.
    pool = ProcessPoolExecutor(
        num_workers, mp_context=get_context("spawn"), initializer=_encode.start, initargs=(folder,)
    )
    try:
        yield lambda batches, hold_out: _ordered(pool, batches, hold_out, ahead=2 * num_workers)
    except BrokenProcessPool:
        raise UserError(
            "a process that tokenizes has ended by itself, for want of memory or because somebody ended it: nothing was"
            " written; try again, or with a smaller num_workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ordered(
    pool: ProcessPoolExecutor, batches: Iterable[list[_Entry]], hold_out: float, *, ahead: int
) -> Iterator[tuple[list[_Entry], Ids]]:
    waiting = deque()
    for batch in batches:
        waiting.append((batch, pool.submit(_encode.work, _texts(batch), hold_out)))
        if len(waiting) > ahead:
            done, ids = waiting.popleft()
            yield done, ids.result()
    for done, ids in waiting:
        yield done, ids.result()


def _texts(batch: list[_Entry]) -> list[str]:
    return [entry.text for entry in batch if not entry.reason]


def _core_seconds() -> float:
    return sum(os.times()[:4])
