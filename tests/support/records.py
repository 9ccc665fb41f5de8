"""Small records whose scores are exact in float32, so that every store must give the same order, ties included."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.manifest import Settings
from modernbert.retrieval.index.record import Hit, Query, Record
from modernbert.retrieval.index.server import Server

SETTINGS = Settings(
    model="small", model_hash="a1b2c3", vector_size=3, tokens_size=2, similarity="dot", chunker="lines-1"
)
WORDS = ("load", "save", "getUserName", "http_server", "weights", "naïve", "日本語")
STORES = ("exact", "edge", "server")


def store(name: str, home: Path) -> str | Server:
    """The server is qdrant-client's imitation of one, in a folder, so that it outlives its connection."""
    return Server(url=str(home / "qdrant"), collection="small") if name == "server" else name


def record(number: int, seed: int = 0, *, has_tokens: bool = True) -> Record:
    """Of small whole numbers."""
    draw = np.random.default_rng([number, seed])
    text = " ".join(draw.choice(WORDS, size=int(draw.integers(0, 6))))
    tokens = draw.integers(-3, 4, size=(int(draw.integers(1, 4)), 2)).astype(np.float32) if has_tokens else None
    metadata = {"path": f"src/{number % 3}/{seed}.py", "number": number, "tags": ["even" if number % 2 == 0 else "odd"]}
    return Record(f"r{number}", text, draw.integers(-2, 3, size=3).astype(np.float32), tokens, metadata)


def query(seed: int = 0) -> Query:
    """Text, vector and tokens."""
    draw = np.random.default_rng([99, seed])
    return Query(
        text=" ".join(draw.choice(WORDS, size=3)),
        vector=draw.integers(-2, 3, size=3).astype(np.float32),
        tokens=draw.integers(-3, 4, size=(2, 2)).astype(np.float32),
    )


SEARCHES = (
    {"mode": "dense"},
    {"mode": "dense", "where": "path=src/1*"},
    {"mode": "dense", "rescore": 4, "where": ["number>=2", "tags!=odd"]},
    {"mode": "lexical"},
    {"mode": "hybrid", "where": "path^=src/0/ or number=1"},
    {"mode": "hybrid", "rescore": 5},
)


def answers(index: Index, asked: Query, top_k: int = 4) -> list[list[Hit]]:
    """What it says to a few searches of every kind."""
    return [index.search(asked, top_k=top_k, **how) for how in SEARCHES]


def assert_same(found: Sequence[Sequence[Hit]], expected: Sequence[Sequence[Hit]]) -> None:
    """The same records with the same scores; two whose scores differ by rounding only may change places."""
    assert [len(hits) for hits in found] == [len(hits) for hits in expected]
    for hits, twins in zip(found, expected, strict=True):
        assert _keys(hits) == _keys(twins)
        np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in twins], rtol=1e-5, atol=1e-6)


def _keys(hits: Sequence[Hit]) -> list[tuple[float, str, str]]:
    return sorted((-round(hit.score, 4), hit.id, hit.text) for hit in hits)
