"""The four encoders of retrieval against sentence-transformers' own, in both directions, at lengths around the window."""

import os
import warnings

import numpy as np
import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what others' imports have to say
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling, MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import SpladePooling

from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.reranker import Reranker
from modernbert.retrieval.sparse import SparseEncoder as OurSparseEncoder
from support.retrieval import texts_of, write_classifier, write_model, write_pylate, write_stanford

TEXTS = texts_of()
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
PROMPTS = {"query": "search for: ", "document": "text: ", "cluster": "  which kind? "}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "plain")


def _close(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), **CLOSE)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_embedder_with_all_modules_equals_stock_both_ways(plain, tmp_path, pooling):
    torch.manual_seed(0)
    stock = SentenceTransformer(
        str(plain), device="cpu", prompts=PROMPTS, default_prompt_name="cluster", similarity_fn_name="dot"
    )
    stock[1] = Pooling(128, pooling_mode=pooling, include_prompt=pooling == "mean")
    stock.append(Dense(128, 48))
    stock.append(Dense(48, 64, bias=False, activation_function=torch.nn.Identity()))
    stock.append(Normalize())
    stock.save_pretrained(str(tmp_path / "theirs"))
    ours = Embedder.from_pretrained(tmp_path / "theirs", dtype="float32")
    ours.save_pretrained(tmp_path / "ours")
    again = SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    for each in (stock, again):
        _close(ours.encode(TEXTS), each.encode(TEXTS))
        _close(ours.encode_query(TEXTS), each.encode_query(TEXTS))
        _close(ours.encode_document(TEXTS, truncate_dim=10), each.encode_document(TEXTS, truncate_dim=10))
        _close(ours.encode(TEXTS, prompt="now: "), each.encode(TEXTS, prompt="now: "))
    vectors = ours.encode(TEXTS)
    _close(ours.similarity(vectors, vectors), again.similarity(vectors, vectors))
    assert again.max_seq_length == ours.engine.room.longest == 1024


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_tokens_of_a_prompt_are_left_out_where_the_folder_says_so(plain, tmp_path, pooling):
    stock = SentenceTransformer(str(plain), device="cpu", prompts=PROMPTS, truncate_dim=100)
    stock[1] = Pooling(128, pooling_mode=pooling, include_prompt=False)
    stock.max_seq_length = 70
    stock.save_pretrained(str(tmp_path / "theirs"))
    ours = Embedder.from_pretrained(tmp_path / "theirs", dtype="float32")
    _close(ours.encode_query(TEXTS), stock.encode_query(TEXTS))
    _close(ours.encode(TEXTS), stock.encode(TEXTS))
    ours.save_pretrained(tmp_path / "ours")
    _close(ours.encode_query(TEXTS), SentenceTransformer(str(tmp_path / "ours"), device="cpu").encode_query(TEXTS))


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_fewer_bits_are_those_of_stock(plain, precision):
    ours = Embedder.from_pretrained(plain, dtype="float32")
    from sentence_transformers.util import quantize_embeddings

    vectors = ours.encode(TEXTS, truncate_dim=60, normalize_embeddings=True)
    found = ours.encode(TEXTS, truncate_dim=60, normalize_embeddings=True, precision=precision)
    expected = quantize_embeddings(vectors, precision)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def _multi_vector(plain, expansion, **changes):
    torch.manual_seed(0)
    stock = MultiVectorEncoder(str(plain), device="cpu", prompts={"query": "[unused0] ", "document": "[unused1] "})
    stock[0].query_expansion = expansion
    for name, value in changes.items():
        setattr(stock[0], name, value)
    stock[1] = Dense(128, 40, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    stock[2] = MultiVectorMask([",", ".", "(", "nothing"])
    stock[2].on_model_ready(stock)
    return stock


@pytest.mark.parametrize("attend", [False, True])
@pytest.mark.parametrize(("strategy", "length"), [("fixed", 32), ("fixed", 140), ("min", 70)])
def test_late_interaction_equals_stock_both_ways(plain, tmp_path, strategy, length, attend):
    stock = _multi_vector(plain, {"strategy": strategy, "length": length, "attend": attend}, document_length=520)
    stock.save_pretrained(str(tmp_path / "theirs"))
    ours = LateInteraction.from_pretrained(tmp_path / "theirs", dtype="float32")
    ours.save_pretrained(tmp_path / "ours")
    again = MultiVectorEncoder(str(tmp_path / "ours"), device="cpu")
    queries, documents = ours.encode_query(TEXTS), ours.encode_document(TEXTS)
    for each in (stock, again):
        _close(queries, each.encode_query(TEXTS))
        _close(documents, each.encode_document(TEXTS))
    np.testing.assert_allclose(
        ours.similarity(queries, documents), stock.similarity(queries, documents), atol=2e-5, rtol=1e-5
    )


def test_late_interaction_without_expansion_and_with_pooled_tokens_equals_stock(plain, tmp_path):
    stock = _multi_vector(plain, None, query_length=40)
    stock.similarity_fn_name = "meanmaxsim"
    stock.append(HierarchicalTokenPooling(3.0, num_protected_tokens=2))
    stock.save_pretrained(str(tmp_path / "theirs"))
    ours = LateInteraction.from_pretrained(tmp_path / "theirs", dtype="float32")
    ours.save_pretrained(tmp_path / "ours")
    for each in (stock, MultiVectorEncoder(str(tmp_path / "ours"), device="cpu")):
        queries, documents = ours.encode_query(TEXTS), ours.encode_document(TEXTS)
        _close(queries, each.encode_query(TEXTS))
        _close(documents, each.encode_document(TEXTS))
        np.testing.assert_allclose(ours.similarity(queries, documents), each.similarity(queries, documents), **CLOSE)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attend_to_expansion_tokens": True, "query_length": 50, "skiplist_words": None},
        {"do_query_expansion": False, "prompts": {"query": "what: ", "document": ""}},
    ],
    ids=["plain", "attended", "unexpanded"],
)
def test_a_pylate_folder_gives_what_stock_makes_of_it(tmp_path, settings):
    folder = write_pylate(tmp_path / "pylate", widths=(96, 32), **settings)
    stock = MultiVectorEncoder(str(folder), device="cpu")
    ours = LateInteraction.from_pretrained(folder, dtype="float32")
    ours.save_pretrained(tmp_path / "ours")
    for each in (stock, MultiVectorEncoder(str(tmp_path / "ours"), device="cpu")):
        _close(ours.encode_query(TEXTS), each.encode_query(TEXTS))
        _close(ours.encode_document(TEXTS), each.encode_document(TEXTS))


@pytest.mark.parametrize(
    "metadata", [{}, {"query_maxlen": 24, "doc_maxlen": 90, "attend_to_mask_tokens": True, "mask_punctuation": False}]
)
def test_a_stanford_folder_gives_what_stock_makes_of_it(tmp_path, metadata):
    folder = write_stanford(tmp_path / "stanford", **metadata)
    stock = MultiVectorEncoder(str(folder), device="cpu")
    ours = LateInteraction.from_pretrained(folder, dtype="float32")
    _close(ours.encode_query(TEXTS), stock.encode_query(TEXTS))
    _close(ours.encode_document(TEXTS), stock.encode_document(TEXTS))


@pytest.mark.parametrize("num_labels", [1, 3])
def test_a_reranker_equals_stock_both_ways(tmp_path, num_labels):
    folder = write_classifier(tmp_path / "plain", num_labels)
    stock = CrossEncoder(str(folder), device="cpu", max_length=400)
    if num_labels == 1:
        stock.activation_fn = torch.nn.Tanh()
    stock.save_pretrained(str(tmp_path / "theirs"))
    pairs = [(TEXTS[3], text) for text in TEXTS] + [(TEXTS[1], text) for text in TEXTS]
    ours = Reranker.from_pretrained(tmp_path / "theirs", dtype="float32")
    ours.save_pretrained(tmp_path / "ours")
    for each in (stock, CrossEncoder(str(tmp_path / "ours"), device="cpu")):
        np.testing.assert_allclose(ours.predict(pairs), each.predict(pairs), **CLOSE)
    plain = CrossEncoder(str(folder), device="cpu")
    np.testing.assert_allclose(
        Reranker.from_pretrained(folder, dtype="float32").predict(pairs, apply_softmax=True),
        plain.predict(pairs, apply_softmax=True),
        **CLOSE,
    )
    if num_labels == 1:
        theirs = stock.rank(TEXTS[3], TEXTS, top_k=5, return_documents=True)
        found = ours.rank(TEXTS[3], TEXTS, top_k=5, return_documents=True)
        assert [(each.corpus_id, each.text) for each in found] == [(each["corpus_id"], each["text"]) for each in theirs]


@pytest.mark.parametrize(("pooling", "activation"), [("max", "relu"), ("sum", "log1p_relu")])
def test_a_sparse_encoder_equals_stock_both_ways(plain, tmp_path, pooling, activation):
    stock = SparseEncoder(str(plain), device="cpu", prompts=PROMPTS)
    stock[1] = SpladePooling(pooling, activation_function=activation)
    stock.save_pretrained(str(tmp_path / "theirs"))
    ours = OurSparseEncoder.from_pretrained(tmp_path / "theirs", dtype="float32")
    ours.save_pretrained(tmp_path / "ours")
    queries, documents = ours.encode_query(TEXTS), ours.encode_document(TEXTS, max_active_dims=20)
    for each in (stock, SparseEncoder(str(tmp_path / "ours"), device="cpu")):
        theirs = each.encode_query(TEXTS), each.encode_document(TEXTS, max_active_dims=20)
        _close(queries.toarray(), theirs[0].to_dense())
        _close(documents.toarray(), theirs[1].to_dense())
        np.testing.assert_allclose(
            ours.similarity(queries, documents), each.similarity(*theirs).to_dense(), atol=1e-4, rtol=1e-5
        )
    mine, other = ours.decode(queries, 5), stock.decode(stock.encode_query(TEXTS), 5)
    assert [[token for token, _ in row] for row in mine] == [[token for token, _ in row] for row in other]
