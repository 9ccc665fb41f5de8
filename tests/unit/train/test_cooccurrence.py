"""Embeddings from counting: what stands in the same company comes out alike, and the counts are what a slow loop counts."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from modernbert.data.config import Source
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.train import cooccurrence
from modernbert.train.cooccurrence import NEAR, SMOOTHING, count

VOCABULARY = Vocabulary(
    size=64, num_ordinary=64, cls_id=60, sep_id=61, pad_id=62, mask_id=63, special_ids=frozenset(range(60, 64))
)


def sources(*documents, weight=1.0):
    return {"text": (Source(path=Path(), weight=weight), InMemory([list(d) for d in documents], VOCABULARY))}


def slowly(*documents):
    """Neighbours counted pair by pair, then p(t, c) / (p(t) p(c)) as the definition has it."""
    near = np.zeros((64, 64))
    total = sum(map(len, documents))
    for document in documents:
        for i, token in enumerate(document):
            for j, other in enumerate(document):
                if i != j and abs(i - j) <= NEAR:
                    near[token, other] += 1 / abs(i - j) / total
    smoothed = near.sum(0) ** SMOOTHING
    smoothed /= smoothed.sum()
    information = np.zeros_like(near)
    for token in range(64):
        for other in range(64):
            if near[token, other]:
                share = near[token, other] / near[token].sum()
                information[token, other] = max(0.0, math.log(share / smoothed[other]))
    return information


@pytest.fixture
def documents():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 40, length).tolist() for length in (1, 2, 30, 80)]


def test_the_matrix_is_what_a_slow_loop_counts(documents, monkeypatch):
    seen = []
    monkeypatch.setattr(cooccurrence, "_directions", lambda m, width, seed: seen.append(m) or torch.zeros(64, width))
    count(sources(*documents), 8, seed=1)
    wanted = slowly(*documents)
    order = np.bincount(np.concatenate(documents), minlength=64)
    contexts = np.argsort(-order, kind="stable")
    np.testing.assert_allclose(seen[0].numpy(), wanted[:, contexts], atol=1e-4)


def test_tokens_of_the_same_company_come_out_alike():
    rng = np.random.default_rng(1)
    sentences = [
        [10 + pair, int(rng.integers(0, 2)) + 2 * pair, 20 + pair, 30] for pair in range(4) for _ in range(100)
    ]
    rng.shuffle(sentences)
    rows = torch.nn.functional.normalize(count(sources(*sentences), 8, seed=1).embeddings, dim=1)
    alike, other = float(rows[0] @ rows[1]), float(rows[0] @ rows[2])
    assert alike > 0.9
    assert alike > other + 0.5


def test_rows_have_a_root_mean_square_of_one_and_tokens_never_seen_none(documents):
    counts = count(sources(*documents), 8, seed=1)
    assert counts.occurs.tolist() == [token in {t for d in documents if len(d) > 1 for t in d} for token in range(64)]
    sizes = counts.embeddings[counts.occurs].pow(2).mean(1)
    torch.testing.assert_close(sizes, torch.ones_like(sizes))
    assert torch.isfinite(counts.shares.log()).all()
    assert float(counts.shares.sum()) == pytest.approx(1)


def test_sources_count_by_their_weights():
    two = sources([1] * 10, weight=3.0) | {"b": sources([2] * 1000)["text"]}
    shares = count(two, 4, seed=1).shares
    assert float(shares[1]) == pytest.approx(0.75, rel=1e-4)


def test_the_same_seed_gives_the_same_rows_and_nobody_elses_numbers_change(documents):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = count(sources(*documents), 8, seed=5).embeddings
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, count(sources(*documents), 8, seed=5).embeddings)


def test_only_so_many_tokens_are_read(monkeypatch, documents):
    monkeypatch.setattr(cooccurrence, "MOST_TOKENS", 3)
    shares = count(sources([5, 5, 5, 5, 6]), 4, seed=1).shares
    assert float(shares[6]) < 1e-6
