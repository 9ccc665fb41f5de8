"""Paths to chunks, once and ever after: what is to be added to an index and what is to be deleted, file by file.

    refresh = Refresh(Snapshot.load(place), find_files(paths, code=True), chunking)
    for step in refresh:
        refresh.begin(step)
        refresh.snapshot.save(place)
        index.delete(step.gone)
        index.add(records_of(step))
        index.flush()
        refresh.done(step)
    refresh.snapshot.save(place)

Several steps may go together: all begun, saved once, all done. Whenever it is stopped, the next refresh puts right what was
begun; deleting an id that is not there, and adding one that is, must do nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import time_ns

from modernbert.retrieval.documents.chunk import Chunking, chunk
from modernbert.retrieval.documents.document import Chunk, UnreadableError
from modernbert.retrieval.documents.find import File, Found, Skipped, left_out
from modernbert.retrieval.documents.jsonl import Fields
from modernbert.retrieval.documents.measure import Count
from modernbert.retrieval.documents.read import CLOSED, read
from modernbert.retrieval.documents.snapshot import Changes, Seen, Snapshot, changes

_NOTHING = Seen(mtime_ns=0, size=-1, content="", read_ns=0)  # no file has this size


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One file's part in making an index new."""

    id: str
    """The file's."""
    chunks: list[Chunk] = field(default_factory=list)
    """All that it has now: those not `new` may have other line numbers."""
    new: frozenset[str] = frozenset()
    """Ids of those that the index has not; only these need an encoder."""
    gone: tuple[str, ...] = ()
    """Ids of chunks that are no longer."""
    seen: Seen | None = None
    """What the snapshot will know of the file; absent: it is no longer."""
    faults: tuple[str, ...] = ()


class Refresh:
    """Iterate it for the steps. State: what differs, and what was left out on the way."""

    def __init__(
        self,
        snapshot: Snapshot,
        found: Found,
        chunking: Chunking = Chunking(),
        *,
        count: Count | None = None,
        fields: Fields = Fields(),
    ) -> None:
        """`found` must be all files of the index: those it lacks are taken for deleted."""
        self.snapshot = snapshot
        self.version = f"{chunking.version}:{fields.text}:{','.join(fields.id)}:{fields.title}"
        self.changes: Changes = changes(snapshot, found.files, version=self.version)
        self.skipped: list[Skipped] = list(found.skipped)
        self.faults: list[str] = []
        self._found = found
        self._chunking, self._count, self._fields = chunking, count, fields
        for file in self.changes.same:
            if reason := snapshot.files[file.id].reason:
                self.skipped.append(Skipped(file.path, reason))
        snapshot.files.update(self.changes.touched)
        snapshot.version = self.version if not snapshot.files else snapshot.version
        self._waiting = {file.id for file in self.changes.changed}

    def __iter__(self) -> Iterator[Step]:
        for id_ in (*self.changes.removed, *(old for old, _ in self.changes.moved)):
            if id_ in self.snapshot.files:
                yield Step(id=id_, gone=_known(self.snapshot.files[id_]))
        for file in (*self.changes.changed, *self.changes.added, *(file for _, file in self.changes.moved)):
            yield self._step(file)

    def begin(self, step: Step) -> None:
        """The index is about to change: let the snapshot know what may be in it from now on."""
        before = self.snapshot.files.get(step.id, _NOTHING)
        ids = [one.id for one in step.chunks]
        stay = tuple(id_ for id_ in before.chunks if id_ not in step.gone)
        perhaps = tuple(dict.fromkeys((*_known(before), *ids)))
        self.snapshot.files[step.id] = replace(_NOTHING, chunks=stay, perhaps=perhaps)

    def done(self, step: Step) -> None:
        """The index has it safely: let the snapshot know."""
        if step.seen is None:
            self.snapshot.files.pop(step.id, None)
        else:
            self.snapshot.files[step.id] = step.seen
        self._waiting.discard(step.id)
        if not self._waiting:  # until then a crash must find the old version, and read the others again
            self.snapshot.version = self.version

    def report(self) -> str:
        """One line: what differed, and all that was left out, by reason."""
        line = f"{len(self._found.files):,} files: {self.changes.report()}"
        return line + left_out(self.skipped)

    def _step(self, file: File) -> Step:
        before = self.snapshot.files.get(file.id, _NOTHING)
        read_ns = time_ns()
        try:
            reading = read(file, fields=self._fields)
        except UnreadableError as error:
            return self._unreadable(file, error, _known(before), read_ns)
        chunks = [one for document in reading.documents for one in chunk(document, self._chunking, count=self._count)]
        ids = [one.id for one in chunks]
        self.faults.extend(reading.faults)
        return Step(
            id=file.id,
            chunks=chunks,
            new=frozenset(ids) - frozenset(before.chunks),
            gone=tuple(sorted(frozenset(_known(before)) - frozenset(ids))),
            seen=Seen(
                mtime_ns=reading.mtime_ns, size=reading.size, content=reading.content, read_ns=reading.read_ns,
                chunks=tuple(ids),
            ),
            faults=tuple(reading.faults),
        )  # fmt: skip

    def _unreadable(self, file: File, error: UnreadableError, old: tuple[str, ...], read_ns: int) -> Step:
        self.skipped.append(Skipped(file.path, error.reason))
        self.faults.append(str(error))
        seen = Seen(mtime_ns=file.mtime_ns, size=file.size, content="", read_ns=read_ns, reason=error.reason)
        if error.reason in CLOSED:  # what opens it changes neither time nor size: to be tried again
            seen = None
        return Step(id=file.id, gone=tuple(sorted(old)), seen=seen, faults=(str(error),))


def _known(seen: Seen) -> tuple[str, ...]:
    """All ids of a file that may be in the index."""
    return tuple(dict.fromkeys((*seen.chunks, *seen.perhaps)))
