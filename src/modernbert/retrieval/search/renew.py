"""An index brought up to date with its files: several files to a batch, so that the encoder is never asked for a few texts.

Stopped anywhere, it has lost no more than the batch it was at, and the next time goes on from there.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modernbert.core.log import progress
from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.documents.find import Root
from modernbert.retrieval.documents.refresh import Refresh, Step
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.record import Record
from modernbert.retrieval.search.encoders import Vectors
from modernbert.retrieval.search.passages import record_of

AT_ONCE = 512
"""New chunks that are encoded together, and files that go together when they have fewer."""

Encode = Callable[[Sequence[str]], Sequence[Vectors]]


def renew(
    index: Index, refresh: Refresh, place: Path, *, roots: Sequence[Root], encode: Encode, show_progress: bool = False
) -> int:
    """Do all steps, and keep the snapshot at `place`; returns how many chunks were encoded."""
    changes = refresh.changes
    total = len(changes.removed) + len(changes.changed) + len(changes.added) + 2 * len(changes.moved)
    num_encoded = 0
    if not total:
        if changes.touched:
            refresh.snapshot.save(place)
        return 0
    with progress("chunks") as bar:
        task = bar.add_task("indexing", total=total, visible=show_progress)
        for steps in _batches(refresh):
            for step in steps:
                refresh.begin(step)
            refresh.snapshot.save(place)
            index.delete([id_ for step in steps for id_ in step.gone])
            chunks = [one for step in steps for one in step.chunks]
            for start in range(0, len(chunks), AT_ONCE):
                num_encoded += _add(index, chunks[start : start + AT_ONCE], roots, encode)
                bar.update(task, chunks=f"{num_encoded:,} chunks encoded")
            for step in steps:
                refresh.done(step)
            bar.update(task, advance=len(steps))
        refresh.snapshot.save(place)
    return num_encoded


def _add(index: Index, chunks: Sequence[Chunk], roots: Sequence[Root], encode: Encode) -> int:
    """Encode those that the index has not; the others keep their vectors, and may get other lines."""
    known: list[Record] = index.get([one.id for one in chunks if one.id in index])
    vectors: dict[str, Vectors] = {record.id: (record.vector, record.tokens) for record in known}
    new = [one for one in chunks if one.id not in vectors]
    if new:
        encoded = encode([one.with_header for one in new])
        vectors |= {one.id: found for one, found in zip(new, encoded, strict=True)}
    index.add([record_of(one, roots, vectors[one.id]) for one in chunks])
    return len(new)


def _batches(steps: Refresh) -> Iterator[list[Step]]:
    batch: list[Step] = []
    num_new = 0
    for step in steps:
        batch.append(step)
        num_new += len(step.new)
        if num_new >= AT_ONCE or len(batch) >= AT_ONCE:
            yield batch
            batch, num_new = [], 0
    if batch:
        yield batch
