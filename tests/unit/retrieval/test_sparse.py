import numpy as np
import pytest
import torch

from modernbert.core.errors import CheckpointError, UserError
from modernbert.ops.packed import Packed
from modernbert.retrieval.folder import Step
from modernbert.retrieval.prompts import Prompts
from modernbert.retrieval.sparse import SparseEncoder, Splade
from support.retrieval import write_classifier
from support.small import small_model
from support.texts import CORPUS

TEXTS = ["", "fog", CORPUS[:300], CORPUS[:2500]]
"""The last is longer than what is in memory together."""


def _encoder(**settings):
    model, tokenizer = small_model()
    return SparseEncoder(model.float(), tokenizer, **settings)


@torch.no_grad()
def _logits(encoder, text):
    ids = encoder.tokenizer.encode([text], longest=encoder.engine.room.longest).ids
    return encoder.model(Packed.from_lists(ids)).double().numpy()


@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_weights_are_what_the_paper_says(pooling, activation):
    encoder = _encoder(splade=Splade(pooling=pooling, activation=activation))
    found = encoder.encode(TEXTS).toarray()
    for text, row in zip(TEXTS, found, strict=True):
        damped_TV = np.log1p(np.maximum(_logits(encoder, text), 0))
        damped_TV = np.log1p(damped_TV) if activation == "log1p_relu" else damped_TV
        np.testing.assert_allclose(row, getattr(damped_TV, pooling)(axis=0), rtol=2e-4, atol=1e-5)


def test_the_heaviest_words_are_kept():
    whole, few = (_encoder(max_active_dims=most).encode(TEXTS).toarray() for most in (None, 5))
    for all_of_it, row in zip(whole, few, strict=True):
        kept = np.flatnonzero(row)
        assert len(kept) == 5
        assert set(kept) == set(np.argsort(-all_of_it)[:5])
        np.testing.assert_array_equal(row[kept], all_of_it[kept])


def test_scores_are_dot_products_or_cosines():
    prompts = Prompts(named={"query": "who? ", "document": ""})
    vectors = {how: _encoder(similarity_fn_name=how, prompts=prompts) for how in ("dot", "cosine")}
    encoder = vectors["dot"]
    queries, documents = encoder.encode_query(["bell"]), encoder.encode_document(TEXTS)
    np.testing.assert_allclose(queries.toarray(), encoder.encode(["who? bell"]).toarray(), rtol=1e-5)
    dots = queries.toarray() @ documents.toarray().T
    np.testing.assert_allclose(encoder.similarity(queries, documents), dots, rtol=1e-5)
    lengths = np.linalg.norm(queries.toarray()) * np.linalg.norm(documents.toarray(), axis=1)
    np.testing.assert_allclose(vectors["cosine"].similarity(queries, documents), dots / lengths, rtol=1e-5)


def test_words_are_told_heaviest_first():
    encoder = _encoder()
    row = encoder.encode(["the keeper lit the lamp"])
    (told,) = encoder.decode(row, top_k=4)
    order = np.argsort(-row.toarray()[0])[:4]
    assert [word for word, _ in told] == [encoder.tokenizer.token(int(place)) for place in order]
    assert [weight for _, weight in told] == pytest.approx(row.toarray()[0][order])


def test_what_it_writes_it_reads_again(tmp_path):
    encoder = _encoder(splade=Splade(activation="log1p_relu"), max_active_dims=7)
    encoder.save_pretrained(tmp_path / "saved")
    again = SparseEncoder.from_pretrained(tmp_path / "saved", dtype="float32")
    assert (again.splade, again.max_active_dims) == (encoder.splade, 7)
    np.testing.assert_allclose(again.encode(TEXTS).toarray(), encoder.encode(TEXTS).toarray(), rtol=1e-5)


def test_wrong_inputs_are_named(tmp_path):
    assert _encoder().encode([]).shape == (0, _encoder().model.config.vocab_size)
    with pytest.raises(TypeError, match="takes a list of texts"):
        _encoder().encode("one")
    with pytest.raises(UserError, match="max_active_dims: found 0, expected 1 or more"):
        _encoder().encode(["a"], max_active_dims=0)
    with pytest.raises(
        CheckpointError, match="found ModernBertForSequenceClassification, expected ModernBertForMaskedLM"
    ):
        SparseEncoder.from_pretrained(write_classifier(tmp_path / "other", 2))
    with pytest.raises(
        CheckpointError, match="found the pooling 'mean' and the activation 'relu', expected max or sum"
    ):
        Splade.of(Step(kind="SpladePooling", settings={"pooling_strategy": "mean"}))
