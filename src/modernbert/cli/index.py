"""`modernbert index`: files to a folder that can be asked."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from modernbert.core.packaged import DEFAULT

_WAIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Make files searchable: text, Markdown, HTML, PDF, JSON lines, or repositories. Again: read what changed, and nothing else."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Files and folders: all that the index holds. None: those of the last time."""
    out: Path = Path(".modernbert-index")
    """The folder of the index."""
    code: bool = False
    """The paths are repositories: source files are cut at their definitions."""
    model: str | None = None
    """A packaged model, a folder or a Hub id; absent: the index's own, at first nano."""
    store: str = "edge"
    """edge (Qdrant, in this process), exact (compares everything, in memory), or http://HOST:PORT/COLLECTION."""
    rebuild: bool = False
    """Forget the index that is there, and make it anew."""
    json: bool = False
    """Print the report as one JSON object."""

    def run(self) -> None:
        """Index and report."""
        import json

        from modernbert.core.errors import UserError
        from modernbert.core.log import say
        from modernbert.retrieval.search.choices import Choices, as_store, forget, store_named
        from modernbert.retrieval.search.encoders import fingerprint_of
        from modernbert.retrieval.searcher import Searcher

        store = store_named(self.store)
        paths, code, model = list(self.paths) or None, self.code or None, self.model
        for path in self.paths:
            if not path.exists():
                raise UserError(f"{path}: there is no such file or folder: check the path")
        before = None if self.rebuild and paths and model else Choices.load(self.out)
        if before is None and paths is None:
            raise UserError(f"{self.out}: found no index and no paths, expected files or folders: name what to index")
        if before is None or self.rebuild:
            model = model or (before.model if before else DEFAULT)
        if before is not None and self.rebuild:
            paths, code = paths or list(map(Path, before.paths)), code or before.code
            store = as_store(before.store) if self.store == "edge" else store
        if self.rebuild:
            fingerprint_of(model or DEFAULT)  # a model that is not there is told before anything is forgotten
            forget(self.out)
        with Searcher.open(self.out, model=model, store=store, wait_s=_WAIT_S) as searcher:
            done = searcher.refresh(paths, code=code, show_progress=True)
            num_chunks = len(searcher)
        for fault in done.faults:
            say(fault)
        if self.json:
            print(json.dumps({**done.to_json(), "num_chunks": num_chunks, "folder": str(self.out)}, ensure_ascii=False))
            return
        speed = f" ({done.chunks_encoded / done.seconds:,.0f} chunks/s)" if done.chunks_encoded else ""
        print(done.report)
        print(f"{self.out}: {num_chunks:,} chunks, {done.chunks_encoded:,} encoded in {done.seconds:,.1f} s{speed}")
