"""Mining and training against sentence-transformers doing the same by itself."""

import copy
import os
import warnings
from collections import defaultdict

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what others' imports have to say
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

from modernbert import accelerate
from modernbert.retrieval.training.config import Mining, TrainRetrieval
from modernbert.retrieval.training.examples import Example, read_examples, to_columns
from modernbert.retrieval.training.mining import mine
from modernbert.retrieval.training.run import _loop
from modernbert.retrieval.training.stock import stock_model
from support.close import assert_all_fp32
from support.pairs import small_pairs, with_negatives, with_scores, write_rows
from support.small import small_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.mark.parametrize(
    "filters",
    [
        {"range_max": 20},
        {"range_min": 2, "range_max": 9},
        {"range_max": 30, "relative_margin": 0.05},
        {"range_max": 30, "absolute_margin": 0.005},
        {"range_max": 30, "max_score": 0.55, "min_score": 0.3},
        {"range_min": 1, "range_max": 12, "relative_margin": 0.05, "max_score": 0.6},
    ],
    ids=str,
)
@pytest.mark.parametrize("positives", [1, 2])
def test_mined_negatives_are_stocks(folder, filters, positives):
    model = SentenceTransformer(str(folder), device="cpu")
    stories = [row["positive"] for row in small_pairs(40)]
    rows = [
        (f"{story[: 20 + 3 * i]}?", stories[(i + k) % 20])
        for i, story in enumerate(stories[:12])
        for k in range(positives)
    ]
    theirs = mine_hard_negatives(
        Dataset.from_dict({"query": [q for q, _ in rows], "positive": [p for _, p in rows]}), model, corpus=stories,
        num_negatives=3, output_format="n-tuple", output_scores=True, verbose=False, **filters,
    )  # fmt: skip
    ours = mine(
        [Example(query=q, documents=(p,), scores=None) for q, p in rows],
        model,
        Mining(num_negatives=3, **filters),
        corpus=stories,
    )
    names = ("query", "positive", "negative_1", "negative_2", "negative_3")
    assert [[row[name] for name in names] for row in ours.rows] == [[row[name] for name in names] for row in theirs]
    for mine_, theirs_ in zip(ours.rows, theirs, strict=True):
        stock_scores = theirs_["score"] if "score" in theirs_ else theirs_["scores"]
        assert mine_["scores"] == pytest.approx(stock_scores, abs=1e-5)
    assert len(ours.rows) > 0


STEPS = {
    "contrastive": ({"kind": "dense", "query_prompt": "ask: "}, with_negatives),
    "matryoshka": ({"kind": "dense", "matryoshka_dims": (128, 32)}, with_negatives),
    "dense distil": ({"kind": "dense", "loss": "distil", "temperature": 1.0}, with_scores),
    "late": ({"kind": "late"}, with_negatives),
    "late distil": ({"kind": "late", "loss": "distil", "temperature": 1.0}, with_scores),
    "rerank": ({"kind": "rerank"}, with_negatives),
}


@pytest.mark.parametrize("name", STEPS)
def test_one_step_is_stocks_in_float64(folder, tmp_path, name):
    """Loss and every gradient of the trainer's own first batch."""
    given, make = STEPS[name]
    data = write_rows(tmp_path / "rows.jsonl", make(small_pairs(8)))
    settings = TrainRetrieval(
        data=data,
        model=str(folder),
        out=tmp_path / "run",
        per_device_train_batch_size=4,
        mini_batch_size=3,
        bf16=False,
        **given,
    )
    columns = to_columns(read_examples(settings), settings.trains_by, None)
    model = stock_model(settings, folder)
    truth = copy.deepcopy(model).double()
    found = defaultdict(dict)
    for who, each in (("ours", accelerate(model)), ("stock", truth)):
        trainer = _loop(settings, each, columns, None).trainer
        features, labels = trainer.collect_features(next(iter(trainer.get_train_dataloader())))
        torch.manual_seed(0)
        loss = trainer.loss(features, labels.double() if who == "stock" and labels is not None else labels)
        loss = sum(loss.values()) if isinstance(loss, dict) else loss
        loss.backward()
        found[who] = {name: p.grad for name, p in each.named_parameters() if p.grad is not None} | {
            "loss": loss.detach()
        }
    assert len(found["ours"]) > 20
    assert found["stock"]["loss"] > 0.01
    # some of stock's losses end in float32 whatever the model is; what they give is held against the same 1e-5
    assert_all_fp32(found["ours"], {name: each.double() for name, each in found["stock"].items()})
