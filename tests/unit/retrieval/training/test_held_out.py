import warnings

import pytest

from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.evaluation.measures import judge, means
from modernbert.retrieval.evaluation.ranking import rank
from modernbert.retrieval.evaluation.vectors import Dense, Encodings
from modernbert.retrieval.training.card import card
from modernbert.retrieval.training.config import TrainRetrieval
from modernbert.retrieval.training.held_out import HeldOut, held_out_evaluator
from support.beir import small_collection, write_small
from support.small import small_checkpoint


def test_the_collection_is_measured_as_evaluate_does(tmp_path):
    settings = TrainRetrieval(kind="dense", data="d", held_out=str(write_small(tmp_path / "stories")))
    model = Embedder.from_pretrained(small_checkpoint(tmp_path / "small"))
    held_out = HeldOut.of(settings)
    found = held_out.measure(model)
    run = rank(Dense(encodings=Encodings(model, facts={}), name="d"), small_collection()).run
    expected = means(judge(small_collection().relevant, run))
    assert found["ndcg@10"] == pytest.approx(expected["nDCG@10"])
    assert found["recall@100"] == pytest.approx(expected["R@100"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert held_out_evaluator(held_out)(model, output_path=None, epoch=1, steps=2) == found


def test_a_card_without_scores_says_so():
    facts = {"num_rows": 1234, "seconds": 5.0, "machine": "m", "versions": {"torch": "2"}, "before": {}, "after": {}}
    text = card(TrainRetrieval(kind="late", data="rows.jsonl"), facts)
    assert "nothing is known of how well it finds" in text
    assert "Kind: late, loss: contrastive, 1,234 rows." in text
    assert "data: rows.jsonl" in text
