"""`modernbert evaluate retrieval`: who finds what on collections with known answers, at what cost."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRetrieval:
    """Rank collections with known answers and print nDCG, MRR, recall and MAP beside cost; the same command goes on after a stop."""

    collections: tyro.conf.Positional[tuple[str, ...]]
    """Folders in BEIR's layout, hub:OWNER/NAME, mteb:TASK; mldr, codesearchnet, stackoverflow-qa."""
    rankers: tuple[str, ...] = ("bm25", "dense", "hybrid")
    """Of bm25, dense, late, hybrid, rerank, each for every model; dense=MODEL is for that one."""
    models: tuple[str, ...] = (DEFAULT,)
    """Packaged models, folders or Hub ids; st:MODEL is opened by sentence-transformers."""
    split: str = "test"
    """Which judgements."""
    unstemmed: bool = False
    """BM25 takes words as they are; otherwise Snowball's English stems."""
    identifiers: bool = False
    """BM25 takes names of code apart at underscores and capitals."""
    depth: int = 100
    """Documents that a reranker reads, and places that count in a hybrid."""
    cache: Path | None = None
    """A folder that keeps vectors of documents for the next time."""
    out: Path = Path("runs/evaluate/retrieval")
    """Where results go, one JSON a collection and ranker, and table.md."""
    dry_run: bool = False
    """Print what would be ranked and stop there."""
    json: bool = False
    """Print means and costs as one JSON object."""

    def run(self) -> None:
        """Measure what is not there, and print everything."""
        from modernbert.core.errors import UserError
        from modernbert.retrieval.evaluation.contenders import contenders

        if not self.collections:
            raise UserError("found no collection, expected a folder in BEIR's layout, hub:OWNER/NAME or mteb:TASK")
        if self.depth < 1:
            raise UserError(f"--depth {self.depth}: expected 1 or more")
        wanted = contenders(self.rankers, self.models)
        if self.dry_run:
            for collection in self.collections:
                for one in wanted:
                    print(f"{collection}: {one.kind}{f' {one.model}' if one.model else ''}")
            return
        self._measure(wanted)

    def _measure(self, wanted: list) -> None:
        from modernbert.core.files import write_atomically
        from modernbert.retrieval.evaluation.contenders import rankers
        from modernbert.retrieval.evaluation.evaluate import evaluate
        from modernbert.retrieval.evaluation.rankers import Bm25
        from modernbert.retrieval.evaluation.sources import open_collection
        from modernbert.retrieval.evaluation.table import report

        words = Bm25(stemming=not self.unstemmed, identifiers=self.identifiers)
        results = evaluate(
            (open_collection(word, split=self.split) for word in self.collections),
            rankers(wanted, words=words, depth=self.depth, cache=self.cache),
            self.out,
        )
        text = report(results)
        with write_atomically(self.out / "table.md", "w") as file:
            file.write(text)
        if not self.json:
            print(text, end="")
            return
        rows = [
            {
                "collection": one.collection, "ranker": one.ranker, **one.means(), "build_seconds": one.build_seconds,
                "num_bytes": one.num_bytes, "seconds_p50": one.seconds_p50, "seconds_p95": one.seconds_p95,
            }
            for one in results
        ]  # fmt: skip
        print(json.dumps({"results": rows}))
