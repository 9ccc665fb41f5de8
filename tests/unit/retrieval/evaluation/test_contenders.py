import warnings

import numpy as np
import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.model.precision import best_precision
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.evaluation.contenders import Contender, contenders, open_model, rankers
from modernbert.retrieval.evaluation.rankers import Bm25
from support.beir import small_collection
from support.small import small_checkpoint


def test_each_kind_is_for_each_model_and_bm25_for_none():
    assert contenders(["bm25", "dense", "rerank=cross"], ["one", "two"]) == [
        Contender(kind="bm25", model=None),
        Contender(kind="dense", model="one"),
        Contender(kind="dense", model="two"),
        Contender(kind="rerank", model="cross"),
    ]


@pytest.mark.parametrize(
    ("words", "models", "message"),
    [
        (["bm52"], ["m"], "found 'bm52', expected some of bm25, dense, late, rerank, hybrid, or such as dense=FOLDER"),
        (["dense"], [], "--rankers dense: needs a model: write dense=MODEL"),
        ([], ["m"], "--rankers: found none"),
    ],
)
def test_words_that_mean_nothing_are_refused(words, models, message):
    with pytest.raises(UserError, match=message):
        contenders(words, models)


def test_a_model_is_opened_once_and_encodes_a_collection_once(tmp_path):
    folder = str(small_checkpoint(tmp_path / "small"))
    make = rankers(contenders(["bm25", "dense", "hybrid"], [folder]), words=Bm25())
    words, dense, hybrid = make()
    assert [words.name, dense.name, hybrid.name] == ["bm25", "dense small", "hybrid small"]
    assert hybrid.dense.encodings is dense.encodings
    again = make()[1]
    assert again.encodings is not dense.encodings  # so that the vectors of the last collection are let go
    assert again.encodings.model is dense.encodings.model
    documents = small_collection().documents
    (found,) = dense.index(documents).search(["the keeper"], 3)
    embedder = Embedder.from_pretrained(folder)
    (scores,) = embedder.similarity(embedder.encode(["the keeper"]), embedder.encode(list(documents.values())))
    assert list(found.values()) == pytest.approx(sorted(scores, reverse=True)[:3], abs=1e-6)


def test_models_whose_folders_end_alike_are_named_whole(tmp_path):
    one, two = (str(small_checkpoint(tmp_path / name / "small")) for name in "ab")
    names = [ranker.name for ranker in rankers(contenders(["dense", "hybrid"], [one, f"st:{two}"]), words=Bm25())()]
    assert names == [f"dense {one}", f"dense st:{two}", f"hybrid {one}", f"hybrid st:{two}"]


def test_what_a_run_of_training_made_is_named_after_the_run(tmp_path):
    folders = [str(small_checkpoint(tmp_path / name / "model")) for name in ("first", "second")]
    names = [ranker.name for ranker in rankers(contenders(["dense"], folders), words=Bm25())()]
    assert names == ["dense first", "dense second"]


def test_what_a_model_is_follows_its_files(tmp_path):
    folder = small_checkpoint(tmp_path / "small")
    _, before = open_model("dense", str(folder))
    (folder / "extra.json").write_text("{}")
    _, after = open_model("dense", str(folder))
    assert before["content"] != after["content"]


def test_stock_opens_the_same_folder(tmp_path):
    folder = str(small_checkpoint(tmp_path / "small"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock, facts = open_model("dense", f"st:{folder}")
    ours, _ = open_model("dense", folder)
    assert facts["by"] == "sentence-transformers SentenceTransformer"
    close = 1e-4 if best_precision().dtype == torch.float32 else 0.02  # ours is in bfloat16 where the CPU multiplies it
    np.testing.assert_allclose(stock.encode_query(["the keeper"]), ours.encode_query(["the keeper"]), atol=close)


def test_what_stock_cannot_open_is_one_sentence(tmp_path):
    with pytest.raises(
        UserError, match=r"sentence-transformers cannot open '.*' as a CrossEncoder \(.*\): check the path"
    ):
        open_model("rerank", f"st:{tmp_path / 'none'}")
