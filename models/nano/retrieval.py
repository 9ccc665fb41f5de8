"""Retrieval by BM25, by vectors of the trained heads and of the bare trunk, and by words and vectors together: nDCG@10.

    python models/nano/retrieval.py SCIFACT --models embedding=nano:embedding late=nano:late --out results/retrieval.json

Two sets. SciFact (a folder in BEIR's layout): claims to abstracts of papers. Python's standard library: the first paragraph
of a docstring to its function without the docstring, one right answer each; nothing of either was trained on.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from pairs import functions

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.demo.corpus import standard_library
from modernbert.model.hub import folder_of
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.evaluation.collection import Collection, read_collection
from modernbert.retrieval.evaluation.measures import judge, means
from modernbert.retrieval.evaluation.rankers import Bm25, Hybrid, Ranker
from modernbert.retrieval.evaluation.ranking import rank
from modernbert.retrieval.evaluation.vectors import Dense, Encodings, Late
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.late_folder import is_late

LIBRARY_QUERIES = 600
"""Docstrings that are asked, evenly out of all."""


def main() -> None:
    """Rank with everybody, judge, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("scifact", type=Path)
    words.add_argument("--models", nargs="+", required=True, metavar="NAME=FOLDER")
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    bm25 = Bm25(identifiers=True)
    rankers: dict[str, Ranker] = {"BM25": bm25}
    for word in given.models:
        who, _, source = word.partition("=")
        rankers[who] = by_vectors(who, source or who)
        rankers[f"BM25 and {who}"] = Hybrid(words=bm25, dense=rankers[who], name=who)
    results: dict[str, dict[str, float]] = {}
    for name, collection in {"scifact": read_collection(given.scifact), "standard library": library()}.items():
        say(f"{name}: {len(collection.documents):,} documents, {len(collection.queries):,} queries")
        for who, ranker in rankers.items():
            score = means(judge(collection.relevant, rank(ranker, collection).run))["nDCG@10"]
            results.setdefault(who, {})[name] = score
            say(f"{name}, {who}: nDCG@10 {score:.3f}")
    with write_atomically(given.out, "w") as file:
        json.dump(results, file, indent=1)


def by_vectors(name: str, source: str) -> Ranker:
    """Of texts, or of tokens where the folder says so."""
    if is_late(folder_of(source)):
        return Late(encodings=Encodings(LateInteraction.from_pretrained(source), facts={}), name=name)
    return Dense(encodings=Encodings(Embedder.from_pretrained(source), facts={}), name=name)


def library() -> Collection:
    """Docstrings and functions of the running Python's standard library; docstrings that are there twice are left out."""
    pairs = [pair for document in standard_library() for pair in functions(document.text) if len(pair[0].split()) >= 3]
    told = Counter(docstring for docstring, _ in pairs)
    pairs = [pair for pair in pairs if told[pair[0]] == 1]
    asked = np.linspace(0, len(pairs) - 1, min(LIBRARY_QUERIES, len(pairs))).astype(int).tolist()
    return Collection(
        name="standard library",
        documents={str(i): code for i, (_, code) in enumerate(pairs)},
        queries={str(i): pairs[i][0] for i in asked},
        relevant={str(i): {str(i): 1} for i in asked},
    )


if __name__ == "__main__":
    as_script(main)
