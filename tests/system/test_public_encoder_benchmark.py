"""The benchmark of a public encoder, with a small one in its place: what it compares, and what it refuses."""

import hashlib
import warnings
from pathlib import Path

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.evaluation.collection import read_collection
from modernbert.retrieval.evaluation.contenders import Contender, rankers
from modernbert.retrieval.evaluation.measures import judge
from modernbert.retrieval.evaluation.rankers import Bm25
from modernbert.retrieval.evaluation.ranking import rank
from support.beir import write_small
from support.small import small_checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import public_encoder

    monkeypatch.setattr(public_encoder, "PAGE", tmp_path / "page.md")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield public_encoder


def _given(benchmark, monkeypatch, tmp_path):
    """Its words for a small collection and encoder, whose hash counts as the published one."""
    folder, facts = small_checkpoint(tmp_path / "small"), write_small(tmp_path / "facts")
    own = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(benchmark, "WEIGHTS", own)
    return [str(facts), "--model", str(folder)]


def test_what_is_found_stands_beside_what_was_published(benchmark, monkeypatch, tmp_path, capsys):
    words = _given(benchmark, monkeypatch, tmp_path)
    collection = read_collection(Path(words[0]))
    (ranker,) = rankers([Contender(kind="dense", model=f"st:{words[2]}")], words=Bm25())()
    scores = judge(collection.relevant, rank(ranker, collection).run)
    means = {name: sum(values.values()) / len(values) for name, values in scores.items()}
    monkeypatch.setattr(benchmark, "PUBLISHED", means | {"nDCG@10": means["nDCG@10"] - 0.004})
    benchmark.main(words)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == list(benchmark.PUBLISHED)
    assert rows[0][1:4] == [f"{100 * means['nDCG@10']:.2f}", f"{100 * means['nDCG@10'] - 0.4:.2f}", "+0.40"]
    assert {row[3] for row in rows[1:]} == {"+0.00"}
    assert rows[0][5] == "68.74"
    assert "60 documents for 12 queries" in (tmp_path / "page.md").read_text()


def test_another_score_is_no_proof_and_leaves_the_page_alone(benchmark, monkeypatch, tmp_path):
    words = _given(benchmark, monkeypatch, tmp_path)
    monkeypatch.setattr(benchmark, "PUBLISHED", dict.fromkeys(benchmark.PUBLISHED, 2.0))
    with pytest.raises(UserError, match=r"points from the published one, expected half a point at most"):
        benchmark.main(words)
    assert not benchmark.PAGE.exists()


def test_other_weights_are_refused(benchmark, tmp_path):
    with pytest.raises(UserError, match=r"has the hash [0-9a-f]{12}, expected 53aa51172d14 of all-MiniLM-L6-v2"):
        benchmark.check_weights(small_checkpoint(tmp_path / "small"))
