"""One shard from beginning to end: read, tokenise ahead, annotate, write. The same code under every engine.

A shard is one input file. It is read in windows of rows; while one is computed, the next is read and tokenised in a thread.
"""

import json
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass
from typing import IO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from modernbert.bulk.annotator import Annotator, Prepared
from modernbert.bulk.config import WINDOW_CHARACTERS, WINDOW_ROWS, Recipe
from modernbert.bulk.output import Output, hash_of, quarantine_name, sidecar_name, table_name
from modernbert.bulk.sidecar import Progress, Sidecar
from modernbert.core.errors import UserError
from modernbert.data.corpus_files import CorpusFile, CorpusReader, CorpusRow

FIRST_REASONS = 3
"""Of the quarantine, that the sidecar repeats."""


@dataclass(frozen=True, slots=True)
class _Window:
    numbers: list[int]
    ids: list[str]
    prepared: Prepared
    share: float


class _Quarantine:
    """Rows that cannot be read. State: their count, and a line for each."""

    def __init__(self, output: Output, name: str) -> None:
        self.count = 0
        self.reasons: list[str] = []
        self._output, self._name = output, name
        self._lines = tempfile.SpooledTemporaryFile(max_size=2**20)  # noqa: SIM115 (closed below)

    def add(self, where: str, fault: str) -> None:
        self.count += 1
        if len(self.reasons) < FIRST_REASONS:
            self.reasons.append(f"{where}: {fault}")
        self._lines.write((json.dumps({"where": where, "reason": fault}, ensure_ascii=False) + "\n").encode())

    def publish(self) -> None:
        if not self.count:
            return self._output.remove(self._name)
        self._lines.seek(0)
        with self._output.write(self._name) as file:
            shutil.copyfileobj(self._lines, file)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()


def annotate_shard(
    annotator: Annotator,
    shard: CorpusFile,
    output: Output,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Sidecar:
    """Write a shard's annotations, then its sidecar. When it fails, nothing of it is left.

    Raises:
        UserError: the file cannot be read to its end, no row of it can be used, or the output cannot be written.
    """
    recipe, began = annotator.recipe, time.monotonic()
    reader = CorpusReader(shard, text_field=recipe.text_field, id_field=recipe.id_field)
    counts = Counter(rows=0)
    with _Quarantine(output, quarantine_name(shard.name)) as quarantine:
        _write_table(annotator, reader, output, quarantine, counts, on_progress)
        quarantine.publish()
    done = Sidecar(
        name=shard.name,
        size=shard.size,
        recipe=hash_of(recipe),
        models={model.name: model.fingerprint for model in recipe.models},
        **counts,
        quarantined=quarantine.count,
        errors=quarantine.reasons,
        seconds=round(time.monotonic() - began, 3),
        host=socket.gethostname(),
    )
    with output.write(sidecar_name(shard.name)) as file:
        file.write(done.as_json())
    return done


def _write_table(
    annotator: Annotator,
    reader: CorpusReader,
    output: Output,
    quarantine: "_Quarantine",
    counts: "Counter[str]",
    on_progress: Callable[[Progress], None],
) -> None:
    shard = reader.file
    with output.write(table_name(shard.name)) as file, ExitStack() as opened:
        writer = opened.enter_context(_Writer(file, annotator.recipe))
        for window in opened.enter_context(closing(_windows(annotator, reader, quarantine))):
            writer.write(window.numbers, window.ids, annotator.annotate(window.prepared))
            counts.update(
                rows=len(window.ids),
                tokens=window.prepared.num_tokens,
                long=window.prepared.num_long,
                unread=window.prepared.num_unread,
            )
            on_progress(Progress(window.share, counts["rows"], counts["tokens"]))
        if quarantine.count and not counts["rows"]:
            raise UserError(
                f"{shard.path}: none of its {quarantine.count} rows can be used; the first: {quarantine.reasons[0]}: is "
                "--text-field right?"
            )
        if not counts["rows"]:  # an empty file is no fault, and its table says which columns it would have
            writer.write([], [], annotator.annotate(annotator.prepare([])))


def _windows(annotator: Annotator, reader: CorpusReader, quarantine: _Quarantine) -> Generator[_Window, None, None]:
    """Two are in memory: the one that is computed, and the next."""
    rows = reader.rows(quarantine.add)

    def following() -> _Window | None:
        some = _take(rows)
        if not some:
            return None
        prepared = annotator.prepare([row.text for row in some])
        return _Window([row.number for row in some], [row.id for row in some], prepared, reader.share)

    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
        ahead = thread.submit(following)
        while (window := ahead.result()) is not None:
            ahead = thread.submit(following)
            yield window


def _take(rows: Iterator[CorpusRow]) -> list[CorpusRow]:
    """A window, cut by counting only: what is packed together never depends on how fast it came."""
    some: list[CorpusRow] = []
    characters = 0
    for row in rows:
        some.append(row)
        characters += len(row.text)
        if len(some) == WINDOW_ROWS or characters >= WINDOW_CHARACTERS:
            break
    return some


class _Writer:
    """A Parquet file, a group of rows a window. State: the file, open from the first window on."""

    def __init__(self, file: IO[bytes], recipe: Recipe) -> None:
        self._file = file
        self._says = {b"modernbert": json.dumps({"recipe": hash_of(recipe)}).encode()}
        self._writer: pq.ParquetWriter | None = None

    def write(self, numbers: list[int], ids: list[str], columns: dict[str, pa.Array]) -> None:
        names = {"row": pa.array(numbers, pa.int64()), "id": pa.array(ids, pa.string())}
        table = pa.table({**names, **columns}).replace_schema_metadata(self._says)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._writer is not None:
            with suppress(Exception) if kind else nullcontext():  # the first failure is the one to report
                self._writer.close()
