"""An index of texts by vectors, words and tokens: what is added is on disk when the call returns, and is found at once.

    with Index.open("my-index", Settings(model="nano", model_hash=..., vector_size=256)) as index:
        index.add([Record("a", "some text", vector)])
        hits = index.search(Query(text="text", vector=question), top_k=5, where="path=src/*", mode="hybrid")

The folder holds Parquet parts, which are the truth, and a store, which is derived from them. One process at a time owns it; any
number may read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import Self

from modernbert.core.errors import UserError, first_line
from modernbert.core.lock import Lock
from modernbert.retrieval.index.bm25 import counts, document_weights
from modernbert.retrieval.index.filter_text import Where, read_filter
from modernbert.retrieval.index.fusion import Fusion
from modernbert.retrieval.index.ledger import Ledger
from modernbert.retrieval.index.manifest import Manifest, Settings, check_same, read_manifest
from modernbert.retrieval.index.opening import Opened, StoreChoice, open_store, save_note
from modernbert.retrieval.index.parts import DamagedPartError
from modernbert.retrieval.index.record import Added, Entry, Hit, Query, Record
from modernbert.retrieval.index.search import Mode, search, unit
from modernbert.retrieval.index.store import Point

_MANY = 64
"""Commits after which parts are merged, asked or not."""
_TRIES = 5


class Index:
    """Open one with `Index.open`; use it in a `with` block, or close it."""

    def __init__(self, folder: Path, ledger: Ledger, choice: StoreChoice, opened: Opened, lock: Lock | None) -> None:
        self.folder = folder
        self._ledger, self._choice, self._opened, self._lock = ledger, choice, opened, lock
        self._closed: str | None = None
        self._is_dirty = False
        self._writing = RLock()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        settings: Settings | None = None,
        *,
        store: StoreChoice = "edge",
        wait_s: float = 0.0,
        read_only: bool = False,
    ) -> Self:
        """Open the index of a folder, or make one there.

        Args:
            settings: needed to make one; an index that is there is held against them.
            store: `edge` (Qdrant Edge, in this process), `exact` (compares everything, in memory) or a `Server`.
            wait_s: how long to wait for another owner to finish.
            read_only: a view of the last commit at this moment, held in memory by the exact store; needs no lock, writes nothing.

        Raises:
            UserError: there is none and no settings, it was made for another model, it is in use, or it is damaged.
        """
        home = Path(folder)
        if read_only:
            return cls._read_only(home, settings)
        if settings is None and read_manifest(home) is None:
            raise _missing(home)
        lock = Lock(
            home / "owner.lock",
            what=f"{home}: the index",
            way_out="let it finish, wait longer with wait_s, or open it with read_only=True",
            wait_s=wait_s,
        )
        try:
            manifest = read_manifest(home)
            if manifest is None:
                if settings is None:
                    raise _missing(home)
                manifest = Manifest(settings=settings)
                manifest.save(home)
            elif settings is not None:
                check_same(home, manifest.settings, settings)
            ledger = Ledger(home, manifest)
            ledger.clean()
            index = cls(home, ledger, store, open_store(home, manifest, store), lock)
            index._catch_up()
        except BaseException:
            lock.close()
            raise
        return index

    @classmethod
    def _read_only(cls, home: Path, settings: Settings | None) -> Self:
        for attempt in range(_TRIES):
            manifest = read_manifest(home)
            if manifest is None:
                raise _missing(home)
            if settings is not None:
                check_same(home, manifest.settings, settings)
            index = cls(home, Ledger(home, manifest), "exact", open_store(home, manifest, "exact"), None)
            try:
                index._catch_up()
            except DamagedPartError:  # the owner may have merged parts meanwhile
                if attempt + 1 == _TRIES or read_manifest(home) == manifest:
                    raise
            else:
                return index
        raise AssertionError("unreachable")

    @property
    def settings(self) -> Settings:
        """What the vectors are."""
        return self._ledger.manifest.settings

    @property
    def commit(self) -> int:
        """How many batches were written so far; it changes with every change."""
        return self._ledger.manifest.commit

    def add(self, records: Sequence[Record]) -> Added:
        """Keep these, in place of others of the same ids. All of them are on disk when this returns, or none.

        Raises:
            UserError: a record cannot be kept as it is, an id comes twice, or the disk is full.
        """
        entries = self._checked(records)
        with self._writing:
            self._check_writable()
            live, ledger = self._ledger.live, self._ledger
            fresh = [entry for entry in entries if entry.id not in live]
            changed = [
                entry for entry in entries if entry.id in live and ledger.hash(live[entry.id]) != entry.hash
            ]  # fmt: skip
            self._write([*fresh, *changed], [], [live[entry.id] for entry in changed])
        return Added(new=len(fresh), changed=len(changed), unchanged=len(entries) - len(fresh) - len(changed))

    def update(self, records: Sequence[Record]) -> Added:
        """As `add`, for records that are there already.

        Raises:
            UserError: one is not; nothing was written.
        """
        with self._writing:
            self._check_writable()
            self._check_known([record.id for record in records], "update", "add it")
            return self.add(records)

    def delete(self, ids: Sequence[str]) -> int:
        """Forget these; ids that are not there do not matter. Returns how many were."""
        if isinstance(ids, str):
            raise TypeError("delete takes a list of ids: found one string, write delete([id])")
        with self._writing:
            self._check_writable()
            live = self._ledger.live
            known = [id_ for id_ in dict.fromkeys(ids) if id_ in live]
            self._write([], known, [live[id_] for id_ in known])
        return len(known)

    def delete_where(self, where: Where) -> int:
        """Forget all that fit a filter; returns how many.

        Raises:
            UserError: no filter: to forget everything, delete the folder.
        """
        condition = read_filter(where)
        if condition is None:
            raise UserError("delete_where: found no filter; to forget everything, delete the folder of the index")
        with self._writing:
            self._check_writable()
            return self.delete(self._opened.store.matching(condition))

    def get(self, ids: Sequence[str]) -> list[Record]:
        """These records as they were added, vectors included, in this order; reads Parquet, hence not for every search.

        Raises:
            UserError: one is not there.
        """
        self._check_open()
        self._check_known(ids, "get", "ask with `in` first")
        places = [self._ledger.live[id_] for id_ in ids]
        found = {entry.id: entry.record for entries in self._ledger.entries(list(set(places))) for entry in entries}
        return [found[id_] for id_ in ids]

    def search(
        self,
        query: Query,
        *,
        top_k: int = 10,
        where: Where = None,
        mode: Mode = "dense",
        rescore: int | None = None,
        exact: bool = False,
        fusion: Fusion = "scores",
    ) -> list[Hit]:
        """The best records, best first, ties by id.

        Args:
            where: a filter, a mapping, or lines such as "path=src/*"; see `filter_text`.
            mode: `dense` compares vectors; `lexical` words, by BM25; `hybrid` fuses the two.
            rescore: so many of the first candidates are looked at again, by MaxSim over token vectors: it decides their order, those
                without tokens following; in a hybrid its scores take the place of the vectors'.
            exact: compare every vector rather than follow a graph.
            fusion: of a hybrid, by `scores`, of which words have seven tenths; or by `ranks`, reciprocal and equal, for vectors whose scores
                say little.

        Raises:
            UserError: the query lacks what the mode compares.
        """
        self._check_open()
        condition = read_filter(where)

        def ask() -> list[Hit]:
            return search(
                self._opened.store, self._opened.lexicon, self.settings, query,
                top_k=top_k, where=condition, mode=mode, rescore=rescore, exact=exact, fusion=fusion,
            )  # fmt: skip

        try:
            return ask()
        except (UserError, KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # Edge's panics are BaseExceptions
            if self._opened.folder is None:
                raise
            with self._writing:
                self._renew(f"it failed: {first_line(error)}")
            return ask()

    def flush(self) -> None:
        """Bring the store to disk, build what makes it fast, and merge small parts. Safety does not need it."""
        with self._writing:
            self._check_writable()
            self._flush(build=True)
            self._is_dirty = False

    def rebuild(self) -> None:
        """Merge all parts, reading every one, and make the store anew from them."""
        with self._writing:
            self._check_writable()
            self._ledger.compact(wholly=True)
            self._ledger.measure()
            self._renew("")
            self.flush()

    def close(self) -> None:
        """Flush if something changed, and let go of the folder; a second time does nothing."""
        if self._closed is not None:
            return
        try:
            if self._is_dirty:
                self.flush()
        finally:
            self._closed = "it was closed"
            self._opened.store.close()
            if self._lock is not None:
                self._lock.close()

    def ids(self) -> Iterator[str]:
        """All ids, in the order of their last change."""
        self._check_open()
        return iter(list(self._ledger.live))

    def __len__(self) -> int:
        return self._ledger.manifest.count

    def __contains__(self, id_: object) -> bool:
        self._check_open()
        return id_ in self._ledger.live

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, entries: list[Entry], removed: list[str], retired: list[int]) -> None:
        if not entries and not removed:
            return
        ledger = self._ledger
        old = [text for texts in ledger.texts(retired) for text in texts]
        ledger.commit(entries, removed)
        self._is_dirty = True
        try:
            self._tell(entries, removed, old)
        except BaseException as error:
            self._is_dirty = False
            self._closed = "its store failed"
            self._opened.store.close()
            if self._lock is not None:
                self._lock.close()
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            raise UserError(
                f"{self.folder}: this batch is safe, but the store could not take it ({first_line(error)}): make room, and "
                "open the index again, which tells the store what it lacks"
            ) from error
        if ledger.manifest.commit - ledger.manifest.base >= _MANY:
            self._flush(build=False)  # graphs of a growing index would be built over and over

    def _flush(self, *, build: bool) -> None:
        save_note(self._opened, self._ledger.manifest, None)
        save_note(self._opened, self._ledger.manifest, self._opened.store.flush(build=build))
        self._ledger.compact()

    def _catch_up(self) -> None:
        """Tell the store what happened after its last commit; if the two then still differ, everything."""
        opened, manifest = self._opened, self._ledger.manifest
        if opened.commit < manifest.commit:
            changes = self._ledger.changes(opened.commit)
            for texts in self._ledger.texts(changes.retired):
                opened.lexicon.remove(map(counts, texts))
            opened.store.remove(changes.gone)
            for entries in self._ledger.entries(changes.put):
                self._tell(entries, [], [])
            self._is_dirty = opened.folder is not None
        if (found := opened.store.count()) != manifest.count:
            if opened.commit == 0:
                raise UserError(
                    f"{self.folder}: the store took {found:,} of {manifest.count:,} records: this is a bug; use store='exact'"
                )
            self._renew(f"it has {found:,} records of {manifest.count:,}")

    def _renew(self, because: str) -> None:
        self._opened.store.close()
        self._opened = open_store(self.folder, self._ledger.manifest, self._choice, because=because)
        self._catch_up()

    def _tell(self, entries: Sequence[Entry], removed: Sequence[str], retired: Sequence[str]) -> None:
        counted = [counts(entry.text) for entry in entries]
        average = self._ledger.manifest.average_words or 1.0
        similarity = self.settings.similarity
        self._opened.lexicon.remove(map(counts, retired))
        self._opened.lexicon.add(counted)
        self._opened.store.remove(removed)
        self._opened.store.put(
            [
                Point(
                    entry.id, entry.text, entry.metadata, unit(entry.vector, similarity), entry.tokens,
                    document_weights(words, average),
                )
                for entry, words in zip(entries, counted, strict=True)
            ]
        )  # fmt: skip

    def _checked(self, records: Sequence[Record]) -> list[Entry]:
        sizes = {"vector_size": self.settings.vector_size, "tokens_size": self.settings.tokens_size}
        entries = [Entry.of(record, **sizes) for record in records]
        seen: set[str] = set()
        for entry in entries:
            if entry.id in seen:
                raise UserError(
                    f"add: record {entry.id!r} comes twice in one batch: which one counts? Give one of them"
                )
            seen.add(entry.id)
        return entries

    def _check_known(self, ids: Sequence[str], verb: str, way_out: str) -> None:
        for id_ in ids:
            if id_ not in self._ledger.live:
                raise UserError(f"{verb}: the index has no record {id_!r}: {way_out}")

    def _check_writable(self) -> None:
        self._check_open()
        if self._lock is None:
            raise UserError(f"{self.folder}: opened with read_only=True, hence not written: open it without")

    def _check_open(self) -> None:
        if self._closed is not None:
            raise UserError(f"{self.folder}: {self._closed}: open the index again")


def _missing(home: Path) -> UserError:
    return UserError(f"{home}: found no index: make one with settings, or check the folder's name")
