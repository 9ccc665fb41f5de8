import pytest
from torch import nn

from modernbert.retrieval.reranker import Reranker
from support.served import TEXTS, client, folder_of

PAIRS = [("a bell", text) for text in TEXTS]


@pytest.fixture(scope="module")
def reranker():
    return Reranker.from_pretrained(folder_of("reranker"), dtype="float32")


def test_texts_come_best_first_with_the_scores_that_python_gives(reranker):
    found = client().post("/rerank", json={"query": "a bell", "texts": TEXTS, "return_text": True}).json()
    scores = reranker.predict(PAIRS)
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert {each["index"] for each in found} == {0, 1, 2}
    for each in found:
        assert each["score"] == pytest.approx(scores[each["index"]], abs=1e-5)
        assert each["text"] == TEXTS[each["index"]]


def test_raw_scores_are_logits_and_texts_come_back_only_when_asked_for(reranker):
    found = client().post("/rerank", json={"query": "a bell", "texts": TEXTS, "raw_scores": True}).json()
    logits = reranker.predict(PAIRS, activation_fn=nn.Identity())
    assert all(set(each) == {"index", "score"} for each in found)
    assert {each["index"]: each["score"] for each in found} == pytest.approx(dict(enumerate(logits)), abs=1e-5)


def test_the_shape_of_cohere_and_jina(reranker):
    body = {"model": "reranker", "query": "a bell", "documents": [TEXTS[0], {"text": TEXTS[2]}], "top_n": 1}
    first = client().post("/v1/rerank", json={**body, "return_documents": True}).json()
    assert set(first) == {"id", "model", "results", "meta", "usage"}
    assert first["meta"] == {"api_version": {"version": "1"}}
    (best,) = first["results"]
    assert best["document"] == {"text": [TEXTS[0], TEXTS[2]][best["index"]]}
    assert best["relevance_score"] == pytest.approx(max(reranker.predict([PAIRS[0], PAIRS[2]])), abs=1e-5)
    assert first["usage"]["total_tokens"] == sum(len(ids) for ids in reranker._tokenized([PAIRS[0], PAIRS[2]], ""))
    second = client().post("/v2/rerank", json={**body, "return_documents": True}).json()
    assert second["results"] == [{"index": best["index"], "relevance_score": best["relevance_score"]}]
    assert second["meta"] == {"api_version": {"version": "2"}}


def test_a_document_is_read_as_far_as_its_tokens_were_limited(reranker):
    words = reranker.tokenizer.encode(["the bell"], special=False, offsets=True)
    start = "the bell"[: words.offsets[0][1][1]]
    whole = client().post("/v2/rerank", json={"query": "a", "documents": ["the bell"], "max_tokens_per_doc": 2}).json()
    assert whole["results"][0]["relevance_score"] == pytest.approx(reranker.predict([("a", start)])[0], abs=1e-5)


def test_a_long_text_is_refused_unless_it_may_be_cut():
    body = {"query": "a", "texts": ["word " * 2000]}
    refused = client().post("/rerank", json=body)
    assert refused.status_code in (413, 422)
    assert "tokens, expected 1,024 or fewer" in refused.json()["error"]
    assert client().post("/rerank", json={**body, "truncate": True}).status_code == 200
    assert client().post("/v1/rerank", json={"query": "a", "documents": body["texts"]}).status_code == 200
