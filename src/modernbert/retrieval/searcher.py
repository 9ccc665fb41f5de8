"""A folder of documents or code, to be asked: what `modernbert index` and `modernbert search` do.

    with Searcher.open(".modernbert-index", model="nano") as searcher:
        searcher.refresh(["docs"])
        for found in searcher.search("how are weights loaded"):
            print(f"{found.path}:{found.first_line}")

The folder holds the index, a snapshot of the files as they were read, and settings.json, so that it can be opened without a
word. The model is loaded when something is to be encoded, and not before.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.context import Context, assemble
from modernbert.retrieval.documents.find import Found as Files
from modernbert.retrieval.documents.find import Root, find_files, roots_of
from modernbert.retrieval.documents.measure import tokens_of
from modernbert.retrieval.documents.query import Query, parse_query
from modernbert.retrieval.documents.refresh import Refresh
from modernbert.retrieval.documents.snapshot import Snapshot
from modernbert.retrieval.index.filter_text import Where
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.opening import StoreChoice
from modernbert.retrieval.index.record import Query as Asked
from modernbert.retrieval.index.search import Mode
from modernbert.retrieval.search import evidence
from modernbert.retrieval.search.candidates import Candidate, candidates, words_of_patterns
from modernbert.retrieval.search.choices import INDEX, SNAPSHOT, Choices, as_choice, as_store
from modernbert.retrieval.search.encoders import Encoders, fingerprint_of
from modernbert.retrieval.search.found import Evidence, Found, Refreshed
from modernbert.retrieval.search.renew import renew

__all__ = ["Context", "Found", "Refreshed", "Searcher"]


class Searcher:
    """Open one with `Searcher.open`; use it in a `with` block, or close it."""

    def __init__(
        self, folder: Path, index: Index, choices: Choices, encoders: Encoders | None, *, read_only: bool
    ) -> None:
        self.folder = folder
        self.choices = choices
        self._index, self._loaded, self._read_only = index, encoders, read_only

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        model: str | Path | None = None,
        store: StoreChoice = "edge",
        wait_s: float = 0.0,
        read_only: bool = False,
    ) -> Self:
        """Open the index of a folder, or make an empty one there.

        Args:
            model: a packaged model, a folder or a Hub id; needed to make one, and held against an index that is there.
            store: as `Index.open`; `edge` opens an index with the store it was made with.
            wait_s: how long to wait for another process to finish with it.
            read_only: a view of this moment, which needs no lock and cannot be refreshed.

        Raises:
            UserError: there is none and no model, it was made by another model, or it is in use.
        """
        home = Path(folder)
        choices = Choices.load(home)
        if choices is None:
            if model is None or read_only:
                raise UserError(
                    f"{home}: found no index: make one with  modernbert index PATH, or check the folder's name"
                )
            return cls._make(home, model, store, wait_s)
        kept = as_store(choices.store) if store == "edge" else store
        index = Index.open(home / INDEX, store=kept, wait_s=wait_s, read_only=read_only)
        try:
            if model is not None:
                _check_same(home, choices.model, index, str(model), fingerprint_of(model))
        except BaseException:
            index.close()
            raise
        return cls(home, index, choices, None, read_only=read_only)

    @classmethod
    def _make(cls, home: Path, model: str | Path, store: StoreChoice, wait_s: float) -> Self:
        encoders = Encoders.open(model)
        index = Index.open(home / INDEX, encoders.settings, store=store, wait_s=wait_s)
        try:
            (home / SNAPSHOT).unlink(missing_ok=True)
            name = str(Path(model).resolve()) if Path(model).is_dir() else str(model)
            choices = Choices(model=name, store=as_choice(store))
            choices.save(home)
        except BaseException:
            index.close()
            raise
        return cls(home, index, choices, encoders, read_only=False)

    def refresh(
        self, paths: Sequence[str | Path] | None = None, *, code: bool | None = None, show_progress: bool = False
    ) -> Refreshed:
        """Bring the index up to date with its files; of files that are as they were nothing is read.

        Args:
            paths: all that the index holds from now on; absent: as the last time.
            code: whether they are repositories; absent: as the last time, at first no.

        Raises:
            UserError: a path is not there, none was ever given, or the searcher was opened with read_only=True.
        """
        if self._read_only:
            raise UserError(f"{self.folder}: opened with read_only=True, hence not refreshed: open it without")
        started = time.perf_counter()
        self._choose(paths, code)
        roots, place = self._roots(), self.folder / SNAPSHOT
        refresh = Refresh(Snapshot.load(place), self._files(roots), self.choices.chunking)
        num_encoded = renew(
            self._index, refresh, place, roots=roots, show_progress=show_progress,
            encode=lambda texts: self.encoders().documents(texts),
        )  # fmt: skip
        changes = refresh.changes
        return Refreshed(
            num_files=sum(bool(seen.chunks) for seen in refresh.snapshot.files.values()),
            added=len(changes.added),
            changed=len(changes.changed) + len(changes.moved),
            removed=len(changes.removed),
            chunks_encoded=num_encoded,
            seconds=time.perf_counter() - started,
            report=refresh.report(),
            faults=tuple(refresh.faults),
        )

    def search(self, query: str, *, top_k: int = 10, where: Where = None, mode: Mode = "hybrid") -> list[Found]:
        """The best chunks, best first. Only those that have all `"literals"` and `/patterns/` of the query.

        Args:
            where: a filter, such as "path=src/*", several in a list, or a mapping.
            mode: `dense` compares vectors; `lexical` words, by BM25, without the model; `hybrid` fuses both.

        Raises:
            UserError: the query is empty or has a bad pattern, the filter cannot be read, or the model is another now.
        """
        if top_k < 1:
            raise UserError(f"search: found top_k={top_k}, expected 1 or more")
        parsed = parse_query(query)
        if not len(self._index):
            return []
        asked = self._asked(parsed, mode)
        found = candidates(
            self._index, parsed, asked, roots=self._roots(), top_k=top_k, where=where, mode=mode, code=self.choices.code
        )  # fmt: skip
        spans = self._spans(parsed, asked, found)
        return [_found(one, own) for one, own in zip(found, spans, strict=True)]

    def context(self, query: str, *, budget: int, top_k: int = 20, where: Where = None) -> Context:
        """What a language model should read to answer: the best chunks that fit into so many of the model's tokens.

        Raises:
            UserError: as `search`, or the budget is not positive.
        """
        if budget < 1:
            raise UserError(f"budget: found {budget}, expected at least 1: how many tokens the context may take")
        parsed = parse_query(query)
        found: list[Candidate] = []
        if len(self._index):
            found = candidates(
                self._index, parsed, self._asked(parsed, "hybrid"), roots=self._roots(), top_k=top_k, where=where,
                mode="hybrid", code=self.choices.code,
            )  # fmt: skip
        return assemble([one.chunk for one in found], budget=budget, count=tokens_of(self.encoders().tokenizer))

    def encoders(self) -> Encoders:
        """The index's model, loaded when it is first wanted.

        Raises:
            UserError: it is another now.
        """
        if self._loaded is None:
            loaded = Encoders.open(self.choices.model)
            _check_same(self.folder, self.choices.model, self._index, self.choices.model, loaded.settings.model_hash)
            self._loaded = loaded
        return self._loaded

    def close(self) -> None:
        """Bring to disk what makes the next opening fast, and let go of the folder."""
        self._index.close()

    def __len__(self) -> int:
        """Chunks."""
        return len(self._index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _choose(self, paths: Sequence[str | Path] | None, code: bool | None) -> None:
        """Keep what the user says, before anything is done with it."""
        if isinstance(paths, str | Path):
            raise TypeError("refresh takes a list of paths: found one, write refresh([path])")
        chosen = self.choices
        if paths is not None:
            find_nothing = [path for path in paths if not Path(path).exists()]
            if find_nothing:
                raise UserError(f"{find_nothing[0]}: there is no such file or folder: check the path")
            chosen = replace(chosen, paths=tuple(str(Path(path).resolve()) for path in paths))
        if code is not None:
            chosen = replace(chosen, code=code)
        if not chosen.paths:
            raise UserError(f"{self.folder}: found no paths to index, expected files or folders: name them")
        if chosen != self.choices:
            chosen.save(self.folder)
            self.choices = chosen

    def _roots(self) -> list[Root]:
        return list(roots_of(self.choices.paths))

    def _files(self, roots: Sequence[Root]) -> Files:
        """All but our own."""
        found = find_files(list(roots), code=self.choices.code)
        home = self.folder.resolve()
        return Files([file for file in found.files if not Path(file.path).is_relative_to(home)], found.skipped)

    def _asked(self, query: Query, mode: Mode) -> Asked:
        text = query.text or words_of_patterns(query)
        if mode == "lexical":
            return Asked(text=text)
        vector, tokens = self.encoders().query(text)
        return Asked(text=text, vector=vector, tokens=tokens)

    def _spans(self, query: Query, asked: Asked, found: Sequence[Candidate]) -> list[list[Evidence]]:
        """Words, and where there are vectors of tokens what they matched."""
        spans = [evidence.words(query, one.chunk.text) for one in found]
        if asked.tokens is None or not found:
            return spans
        rows = self.encoders().token_spans([one.chunk.with_header for one in found])
        if rows is None:
            return spans
        records = self._index.get([one.hit.id for one in found])
        for own, one, record, places in zip(spans, found, records, rows, strict=True):
            if record.tokens is not None and len(record.tokens) == len(places):
                own.extend(evidence.tokens(asked.tokens, record.tokens, places, one.chunk))
        return spans


def _found(one: Candidate, spans: list[Evidence]) -> Found:
    hit, chunk = one.hit, one.chunk
    legs = {"dense": hit.dense, "lexical": hit.lexical, "fused": hit.fused, "late": hit.late}
    return Found(
        id=hit.id,
        path=chunk.path,
        first_line=chunk.first_line,
        last_line=chunk.last_line,
        text=chunk.text,
        header=chunk.header,
        kind=chunk.kind,
        symbol=chunk.symbol,
        score=one.score,
        legs={name: score for name, score in legs.items() if score is not None},
        spans=spans,
        metadata=chunk.metadata,
    )


def _check_same(folder: Path, before: str, index: Index, now: str, fingerprint: str) -> None:
    if (made_with := index.settings.model_hash) != fingerprint:
        raise UserError(
            f"{folder}: the index was made with the model {before} ({made_with[:12]}), and this is {now} "
            f"({fingerprint[:12]}), whose vectors do not fit to it: index anew with --rebuild, or use the first"
        )
