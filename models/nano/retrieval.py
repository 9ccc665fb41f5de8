"""Retrieval by vectors of the trained head, of its bare trunk, and by BM25: nDCG@10.

    python models/nano/retrieval.py SCIFACT --models head=HEAD trunk=TRUNK --out results/retrieval.json

Two sets. SciFact (a folder in BEIR's layout): claims to abstracts of papers. Python's standard library: the first paragraph
of each docstring to its function without the docstring, one right answer each; nothing of either was trained on.
"""

import argparse
import json
import lzma
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bm25s
import ir_measures
import numpy as np
from ir_measures import Qrel, ScoredDoc, nDCG
from pairs import functions

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.demo.corpus import standard_library
from modernbert.retrieval.embedder import Embedder

MOST = 100
"""Documents ranked a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Documents, queries, and which belong together."""

    documents: dict[str, str]
    queries: dict[str, str]
    relevant: tuple[Qrel, ...]


def main() -> None:
    """Rank with everybody, judge, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("scifact", type=Path)
    words.add_argument("--models", nargs="+", required=True, metavar="NAME=FOLDER")
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    results: dict[str, dict[str, float]] = {}
    for name, collection in {"scifact": scifact(given.scifact), "standard library": library()}.items():
        say(f"{name}: {len(collection.documents):,} documents, {len(collection.queries):,} queries")
        ranked = {"BM25": by_words(collection)}
        for word in given.models:
            who, _, folder = word.partition("=")
            ranked[who] = by_vectors(collection, Embedder.from_pretrained(folder or who))
        for who, ranking in ranked.items():
            score = ir_measures.calc_aggregate([nDCG @ 10], collection.relevant, ranking)[nDCG @ 10]
            results.setdefault(who, {})[name] = score
            say(f"{name}, {who}: nDCG@10 {score:.3f}")
    with write_atomically(given.out, "w") as file:
        json.dump(results, file, indent=1)


def scifact(folder: Path) -> Collection:
    """The test queries and all documents of a folder in BEIR's layout."""
    rows = (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    relevant = tuple(Qrel(query, document, int(score)) for query, document, score in (row.split("\t") for row in rows))
    asked = {one.query_id for one in relevant}
    documents = {row["_id"]: f"{row['title']}\n\n{row['text']}" for row in _read(folder / "corpus.jsonl.xz")}
    queries = {row["_id"]: row["text"] for row in _read(folder / "queries.jsonl.xz") if row["_id"] in asked}
    return Collection(documents=documents, queries=queries, relevant=relevant)


def library() -> Collection:
    """Docstrings and functions of the running Python's standard library; docstrings that are there twice are left out."""
    pairs = [pair for document in standard_library() for pair in functions(document.text) if len(pair[0].split()) >= 3]
    told = Counter(docstring for docstring, _ in pairs)
    pairs = [pair for pair in pairs if told[pair[0]] == 1]
    return Collection(
        documents={str(i): code for i, (_, code) in enumerate(pairs)},
        queries={str(i): docstring for i, (docstring, _) in enumerate(pairs)},
        relevant=tuple(Qrel(str(i), str(i), 1) for i in range(len(pairs))),
    )


def by_words(collection: Collection) -> list[ScoredDoc]:
    """BM25 as bm25s has it, with its English stop words; identifiers are taken apart at underscores and capitals."""
    names = list(collection.documents)
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([_apart(text) for text in collection.documents.values()], show_progress=False),
        show_progress=False,
    )
    queries = bm25s.tokenize([_apart(text) for text in collection.queries.values()], show_progress=False)
    found, scores = index.retrieve(queries, k=min(MOST, len(names)), show_progress=False)
    return _ranking(collection, names, found, scores)


def by_vectors(collection: Collection, embedder: Embedder) -> list[ScoredDoc]:
    """Cosines."""
    names = list(collection.documents)
    documents_ND = embedder.encode(list(collection.documents.values()), show_progress_bar=True)
    similar_QN = embedder.similarity(embedder.encode_query(list(collection.queries.values())), documents_ND)
    found = np.argsort(-similar_QN, axis=1)[:, :MOST]
    return _ranking(collection, names, found, np.take_along_axis(similar_QN, found, axis=1))


def _ranking(collection: Collection, names: Sequence[str], found: np.ndarray, scores: np.ndarray) -> list[ScoredDoc]:
    return [
        ScoredDoc(query, names[int(document)], float(score))
        for query, documents, row in zip(collection.queries, found, scores, strict=True)
        for document, score in zip(documents, row, strict=True)
    ]


def _apart(text: str) -> str:
    """snake_case and camelCase as words: without it BM25 finds little in code."""
    spaced = "".join(
        f" {c}" if c.isupper() and before.islower() else c for before, c in zip(" " + text, text, strict=False)
    )
    return spaced.replace("_", " ")


def _read(path: Path) -> list[dict[str, str]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
