"""What we measure of stock models is what sentence-transformers' own evaluators measure of them."""

import os
import warnings
from dataclasses import replace

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what others' imports have to say
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
    from sentence_transformers.multi_vector_encoder.evaluation import MultiVectorInformationRetrievalEvaluator
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

from modernbert.retrieval.evaluation.measures import judge, means
from modernbert.retrieval.evaluation.rankers import Bm25, Reranked
from modernbert.retrieval.evaluation.ranking import rank
from modernbert.retrieval.evaluation.vectors import Dense, Encodings, Late
from support.beir import small_collection
from support.small import small_checkpoint

SAME = {"nDCG@10": "ndcg@10", "RR@10": "mrr@10", "R@10": "recall@10", "R@100": "recall@100", "AP@100": "map@100"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(small_checkpoint(tmp_path_factory.mktemp("checkpoint")))


def _stock_scores(evaluator, model, collection, similarity):
    evaluator = evaluator(
        dict(collection.queries), dict(collection.documents), {query: set(found) for query, found in collection.relevant.items()},
        precision_recall_at_k=[10, 100], map_at_k=[100], corpus_chunk_size=17,
    )  # fmt: skip
    found = evaluator(model)
    return {ours: found[f"{similarity}_{theirs}"] for ours, theirs in SAME.items()}


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_dense_measures_equal_stocks_evaluator(folder, similarity):
    torch.manual_seed(0)
    model = SentenceTransformer(folder, device="cpu", similarity_fn_name=similarity, prompts={"query": "the ", "document": ""})  # fmt: skip
    collection = small_collection(documents=150, queries=25)
    ours = means(
        judge(collection.relevant, rank(Dense(encodings=Encodings(model, facts={}), name="d"), collection).run)
    )
    assert ours == pytest.approx(_stock_scores(InformationRetrievalEvaluator, model, collection, similarity), abs=1e-9)
    assert 0 < ours["nDCG@10"] < 1


def test_late_measures_equal_stocks_evaluator(folder):
    torch.manual_seed(0)
    model = MultiVectorEncoder(folder, device="cpu")
    collection = small_collection(documents=150, queries=25)
    ours = means(judge(collection.relevant, rank(Late(encodings=Encodings(model, facts={}), name="l"), collection).run))
    stock = _stock_scores(MultiVectorInformationRetrievalEvaluator, model, collection, "maxsim")
    # Sums of many cosines: two documents a float32 rounding apart may change places.
    assert ours == pytest.approx(stock, abs=1e-3)
    assert 0 < ours["nDCG@10"] < 1


def test_reranked_measures_equal_stocks_evaluator(folder):
    """On queries whose right answers were all found before: stock puts those that were not at the end."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CrossEncoder(folder, device="cpu", num_labels=1)
    whole = small_collection(documents=80, queries=16)
    first = dict(
        zip(whole.queries, Bm25().index(whole.documents).search(list(whole.queries.values()), 10), strict=True)
    )
    queries = {
        query: text for query, text in whole.queries.items() if whole.relevant[query].keys() <= first[query].keys()
    }
    collection = replace(whole, queries=queries, relevant={query: whole.relevant[query] for query in queries})
    ranking = rank(Reranked(model=model, first=Bm25(), name="r", depth=10), collection, timed=1)
    ours = means(judge(collection.relevant, ranking.run))
    samples = [
        {
            "query": text,
            "positive": [collection.documents[id_] for id_ in collection.relevant[query]],
            "documents": [collection.documents[id_] for id_ in first[query]],
        }
        for query, text in queries.items()
    ]
    assert len(samples) >= 5
    stock = CrossEncoderRerankingEvaluator(samples, at_k=10, always_rerank_positives=False)(model)
    assert ours["nDCG@10"] == pytest.approx(stock["ndcg@10"], abs=1e-9)
    assert ours["RR@10"] == pytest.approx(stock["mrr@10"], abs=1e-9)
