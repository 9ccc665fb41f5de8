"""The four families of sentence-transformers, accelerated, against themselves untouched in float64."""

import copy
import os
import warnings

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what others' imports have to say
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import Pooling

from modernbert import accelerate, restore
from modernbert.core.errors import UnsupportedError
from support.close import assert_exact, assert_fp32
from support.small import small_checkpoint
from support.stock import counted_encodes, without_stock_layers
from support.texts import CORPUS

TEXTS = ["a", "", *(line for line in CORPUS.splitlines() if line)][:12]
PAIRS = [(TEXTS[2], text) for text in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(small_checkpoint(tmp_path_factory.mktemp("checkpoint")))


def _twins(family, folder, **options):
    """The model as loaded, and the same in float64."""
    torch.manual_seed(0)
    model = family(folder, device="cpu", **options)
    return model, copy.deepcopy(model).double()


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken", "weightedmean"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_sentence_embeddings(folder, pooling, side):
    model, truth = _twins(SentenceTransformer, folder)
    for each in (model, truth):
        each[1] = Pooling(each[1].embedding_dimension, pooling_mode=pooling)
        each.tokenizer.padding_side = side
    assert accelerate(model) is model
    with without_stock_layers():
        found = model.encode(TEXTS, batch_size=5, convert_to_tensor=True)
    assert_fp32(found, truth.encode(TEXTS, batch_size=5, convert_to_tensor=True))


def test_token_embeddings(folder):
    model, truth = _twins(SentenceTransformer, folder)
    with without_stock_layers():
        found = accelerate(model).encode(TEXTS, output_value="token_embeddings")
    expected = truth.encode(TEXTS, output_value="token_embeddings")
    for mine, theirs in zip(found, expected, strict=True):
        assert_fp32(mine, theirs)


def test_cross_encoder_scores(folder):
    model, truth = _twins(CrossEncoder, folder, num_labels=1)
    with without_stock_layers():
        found = accelerate(model).predict(PAIRS, convert_to_tensor=True)
    assert_fp32(found, truth.predict(PAIRS, convert_to_tensor=True))


def test_cross_encoder_scores_of_left_padded_pairs_are_those_of_right_padded_ones(folder):
    model, truth = _twins(CrossEncoder, folder, num_labels=1)
    model.model.config.classifier_pooling = truth.model.config.classifier_pooling = "cls"
    model.tokenizer.padding_side = "left"
    with without_stock_layers():
        found = accelerate(model).predict(PAIRS, convert_to_tensor=True)
    assert_fp32(found, truth.predict(PAIRS, convert_to_tensor=True))


def test_sparse_embeddings(folder):
    model, truth = _twins(SparseEncoder, folder)
    with without_stock_layers():
        found = accelerate(model).encode(TEXTS, convert_to_tensor=True).to_dense()
    assert_fp32(found, truth.encode(TEXTS, convert_to_tensor=True).to_dense())


@pytest.mark.parametrize("attend", [None, True, False], ids=["no expansion", "attended", "not attended"])
def test_multi_vector_embeddings(folder, attend):
    model, truth = _twins(MultiVectorEncoder, folder)
    plain = copy.deepcopy(model)
    if attend is not None:
        for each in (model, truth, plain):
            each[0].query_expansion = {"strategy": "fixed", "attend": attend, "length": 96}
    accelerate(model)
    queries = [text[:40] for text in TEXTS]
    with counted_encodes() as counts:
        found = model.encode_query(queries), model.encode_document(TEXTS)
    assert len(counts) == (1 if attend is False else 2), "queries whose masked tokens are scored are stock's, alone"
    expected = truth.encode_query(queries), truth.encode_document(TEXTS)
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one.shape == other.shape
            if attend is not False:
                assert_fp32(one, other)
    if attend is False:
        for one, other in zip(found[0], plain.encode_query(queries), strict=True):
            assert_exact(one, other)


def test_expansion_by_padding_itself_is_refused(folder):
    model, _ = _twins(MultiVectorEncoder, folder)
    model[0].query_expansion = {"strategy": "fixed", "attend": False, "length": 32, "token": "[PAD]"}
    with pytest.raises(UnsupportedError, match=r"found query expansion by '\[PAD\]', the padding .* attend=True"):
        accelerate(model)


def test_a_step_of_contrastive_training(folder):
    model, truth = _twins(SentenceTransformer, folder)
    accelerate(model)
    losses = []
    for each in (model, truth):
        each.train()
        sides = [each.preprocess(TEXTS[i::3]) for i in (0, 1)]
        loss = MultipleNegativesRankingLoss(each)(sides, None)
        loss.backward()
        losses.append(loss)
    assert_fp32(losses[0], losses[1])
    for (name, parameter), twin in zip(model.named_parameters(), truth.parameters(), strict=True):
        assert_fp32(parameter.grad, twin.grad, name=name)


def test_what_is_saved_is_stock_and_loads_anywhere(folder, tmp_path):
    model, _ = _twins(SentenceTransformer, folder)
    expected = model.encode(TEXTS, convert_to_tensor=True)
    accelerate(model).save_pretrained(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), device="cpu")
    assert_exact(again.encode(TEXTS, convert_to_tensor=True), expected)
    assert "modernbert.model" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert_exact(restore(model).encode(TEXTS, convert_to_tensor=True), expected)
