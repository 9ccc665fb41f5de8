"""The encoder and its heads in NumPy against stock transformers in float64, by way of stock's own files."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from modernbert.model.arrays import ARCHITECTURES, read_weights
from modernbert.model.config import ModelConfig
from modernbert.model.hf_config import from_file
from modernbert.model.in_numpy import classify, decode, encode, pool
from support.close import assert_fp32
from support.tiny import BOUNDARIES, padded, random_documents, stock_twin, tiny_config

LONG = (511, 1, 300)
"""Longer than what attends together."""

VARIANTS = {
    "base's": {},
    "biases": {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True},
    "untied, no decoder bias": {"tie_word_embeddings": False, "decoder_bias": False},
    "gelu by tanh": {"hidden_activation": "gelu_pytorch_tanh", "classifier_activation": "gelu_new"},
    "silu and relu": {"hidden_activation": "silu", "classifier_activation": "relu"},
    "three heads of 22, window of 8": {"hidden_size": 66, "num_attention_heads": 3, "local_attention": 16},
    "other thetas, window of 1": {"global_rope_theta": 80_000.0, "local_rope_theta": 500.0, "local_attention": 2},
    "one layer, large epsilon": {"num_hidden_layers": 1, "norm_eps": 0.1},
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_states_and_logits_are_stock_ones(variant, tmp_path):
    _compare(tiny_config(**variant), BOUNDARIES, tmp_path)


def test_a_long_document_has_stock_states(tmp_path):
    _compare(tiny_config(), LONG, tmp_path)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("biases", [False, True], ids=["no biases", "biases"])
def test_labels_of_texts_are_stock_ones(pooling, biases, tmp_path):
    config = tiny_config(labels=("a", "b", "c"), classifier_pooling=pooling, classifier_bias=biases, norm_bias=biases)
    stock = stock_twin(config, "ModernBertForSequenceClassification")
    weights, read = _as_written(stock, tmp_path)
    ids, mask = padded(random_documents(BOUNDARIES))
    pooled = pool(encode(weights, read, random_documents(BOUNDARIES)), BOUNDARIES, read.classifier_pooling)
    truth = stock(input_ids=ids, attention_mask=mask).logits
    assert_fp32(torch.from_numpy(classify(weights, read, pooled)), truth)


def test_labels_of_tokens_are_stock_ones(tmp_path):
    stock = stock_twin(tiny_config(labels=("a", "b", "c")), "ModernBertForTokenClassification")
    weights, read = _as_written(stock, tmp_path)
    ids, mask = padded(random_documents(BOUNDARIES))
    found = classify(weights, read, encode(weights, read, random_documents(BOUNDARIES)))
    assert_fp32(torch.from_numpy(found), stock(input_ids=ids, attention_mask=mask).logits[mask.bool()])


def test_a_bare_encoder_has_stock_states(tmp_path):
    stock = stock_twin(tiny_config(), "ModernBertModel")
    weights, read = _as_written(stock, tmp_path)
    ids, mask = padded(random_documents(BOUNDARIES))
    truth = stock(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]
    assert_fp32(torch.from_numpy(encode(weights, read, random_documents(BOUNDARIES))), truth)


def test_every_architecture_is_compared_here():
    assert set(ARCHITECTURES) == {
        f"ModernBert{kind}" for kind in ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_widened_as_torch_widens_them(dtype, tmp_path):
    stock = stock_twin(tiny_config())
    weights, _ = _as_written(stock, tmp_path, dtype=dtype)
    for name, tensor in stock.named_parameters():
        assert np.array_equal(weights.whole(name), tensor.detach().to(dtype).float().numpy()), name


def _compare(config, lengths, tmp_path):
    stock = stock_twin(config)
    documents = random_documents(lengths)
    weights, read = _as_written(stock, tmp_path)
    assert read.layer_kinds == config.layer_kinds
    ids, mask = padded(documents)
    truth = stock(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    states = encode(weights, read, documents)
    is_real = mask.bool()
    assert_fp32(torch.from_numpy(states), truth.hidden_states[-1][is_real], name="states")
    assert_fp32(torch.from_numpy(decode(weights, read, states)), truth.logits[is_real], name="logits")


def _as_written(stock, folder, *, dtype=torch.float32) -> "tuple[object, ModelConfig]":
    """What stock's `save_pretrained` gives, in the dtype that folders have."""
    deepcopy(stock).to(dtype).save_pretrained(folder)
    config, architecture = from_file(folder / "config.json")
    weights = read_weights(folder, config, architecture)
    assert weights is not None
    return weights, config
