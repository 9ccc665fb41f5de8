"""The index against others' programs: words against bm25s, vectors and MaxSim against plain NumPy, on all stores."""

import bm25s
import numpy as np
import pytest

from modernbert.retrieval.index.bm25 import K1, B, words
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.manifest import Settings
from modernbert.retrieval.index.record import Query, Record
from support.records import STORES, store

SETTINGS = Settings(model="m", model_hash="0", vector_size=16, tokens_size=8)
NUMBER = 120


@pytest.fixture(scope="module", params=STORES)
def built(request, tmp_path_factory):
    home = tmp_path_factory.mktemp(request.param)
    draw = np.random.default_rng(0)
    vocabulary = [f"word{number} camelCase{number} snake_case_{number}".split()[number % 3] for number in range(60)]
    texts = [" ".join(draw.choice(vocabulary, size=int(draw.integers(1, 30)))) for _ in range(NUMBER)]
    vectors = draw.normal(size=(NUMBER, 16)).astype(np.float32)
    tokens = [draw.normal(size=(int(draw.integers(1, 9)), 8)).astype(np.float32) for _ in range(NUMBER)]
    rows = [Record(f"{n:03d}", *row) for n, row in enumerate(zip(texts, vectors, tokens, strict=True))]
    with Index.open(home / "i", SETTINGS, store=store(request.param, home)) as index:
        index.add([Record("old", "word1 word2 " * 9, vectors[0]), *rows])
        index.add([Record("050", "word1 word1 entirely other", vectors[1], tokens[1]), *rows[70:80]])
        index.add([rows[50]])
        index.delete(["old"])
        index.rebuild()  # so that the average length is of what is there now
        yield index, texts, vectors, tokens, vocabulary


def test_words_rank_as_bm25s_ranks_them(built):
    index, texts, _, _, vocabulary = built
    oracle = bm25s.BM25(method="lucene", k1=K1, b=B)
    oracle.index([words(text) for text in texts], show_progress=False)
    for asked in (vocabulary[:3], vocabulary[10:12], [vocabulary[5], vocabulary[5]], ["case"]):
        scores = oracle.get_scores(words(" ".join(asked)))
        hits = index.search(Query(text=" ".join(asked)), mode="lexical", top_k=NUMBER)
        assert {hit.id for hit in hits} == {f"{n:03d}" for n in np.flatnonzero(scores)}
        assert hits
        # Lucene's formula keeps the factor K1 + 1, which bm25s leaves out; it changes no order.
        expected = [scores[int(hit.id)] * (K1 + 1) for hit in hits]
        np.testing.assert_allclose([hit.score for hit in hits], expected, rtol=1e-4)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_vectors_rank_by_their_cosine(built):
    index, _, vectors, _, _ = built
    asked = np.random.default_rng(1).normal(size=16)
    cosines = vectors @ asked / np.linalg.norm(vectors, axis=1) / np.linalg.norm(asked)
    hits = index.search(Query(vector=asked), top_k=NUMBER)
    assert [int(hit.id) for hit in hits] == np.argsort(-cosines).tolist()
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(cosines)[::-1], atol=1e-6)


def test_candidates_are_rescored_by_maxsim_in_half_precision(built):
    index, _, _, tokens, _ = built
    draw = np.random.default_rng(2)
    asked = Query(vector=draw.normal(size=16), tokens=draw.normal(size=(4, 8)))
    first = {hit.id for hit in index.search(asked, top_k=30)}
    hits = index.search(asked, top_k=40, rescore=30)
    assert {hit.id for hit in hits[:30]} == first
    half = asked.tokens.astype(np.float16).astype(np.float64)
    for hit in hits[:30]:
        document = tokens[int(hit.id)].astype(np.float16).astype(np.float64)
        assert hit.score == pytest.approx((half @ document.T).max(axis=1).sum(), rel=2e-3, abs=2e-3)
    assert all(hit.late is None for hit in hits[30:])
