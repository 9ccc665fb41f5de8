"""Fresh weights: every kind by its rule."""

import math

import pytest
import torch

from modernbert.model.heads import ARCHITECTURES, Encoder, MaskedLM, SequenceClassifier, build
from modernbert.model.init import draw, initialize
from support.tiny import tiny_config

CONFIG = tiny_config(
    hidden_size=128, intermediate_size=160, tie_word_embeddings=False, initializer_range=0.03,
    attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True,
)  # fmt: skip
IN, OUT, HEAD = 0.03, 0.03 / math.sqrt(2 * 4), 128**-0.5
STDS = {
    "model.embeddings.tok_embeddings.weight": IN,
    "model.layers.1.attn.Wqkv.weight": IN,
    "model.layers.1.attn.Wo.weight": OUT,
    "model.layers.3.mlp.Wi.weight": IN,
    "model.layers.3.mlp.Wo.weight": OUT,
    "head.dense.weight": IN,
    "decoder.weight": HEAD,
    "classifier.weight": HEAD,
}

CUT_AT_2 = 0.87962566
"""Standard deviation of a standard normal draw cut at 2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))."""


def fresh(kind=MaskedLM, config=CONFIG, seed=0):
    model = build(kind, config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    initialize(model, config, seed=seed)
    return dict(model.named_parameters())


@pytest.mark.parametrize("name", STDS)
def test_every_matrix_has_its_standard_deviation_and_is_cut_at_two(name):
    kind = SequenceClassifier if name.startswith("classifier") else MaskedLM
    config = tiny_config(labels=tuple("abcdefgh" * 100)) if kind is SequenceClassifier else CONFIG
    weight = fresh(kind, config)[name].detach()
    assert abs(float(weight.std()) / (STDS[name] * CUT_AT_2) - 1) < 5 / math.sqrt(weight.numel())
    assert abs(float(weight.mean())) < 5 * STDS[name] / math.sqrt(weight.numel())
    assert 1.9 * STDS[name] < float(weight.abs().max()) <= 2 * STDS[name]


def test_the_cut_is_the_configs():
    weight = fresh(config=tiny_config(initializer_cutoff_factor=3.0))["model.layers.0.attn.Wqkv.weight"].detach()
    assert 2.5 * 0.02 < float(weight.abs().max()) <= 3 * 0.02


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_norms_are_one_biases_zero_and_nothing_is_left_as_it_was(architecture):
    parameters = fresh(ARCHITECTURES[architecture])
    for name, parameter in parameters.items():
        assert bool(parameter.isfinite().all()), name
        if name.endswith("bias"):
            assert not bool(parameter.any()), name
        elif "norm" in name:
            assert bool((parameter == 1).all()), name
        else:
            assert parameter.ndim == 2, name
            assert float(parameter.detach().std()) > 0, name


def test_the_same_seed_gives_the_same_weights_and_another_others():
    first, again, other = fresh(seed=1), fresh(seed=1), fresh(seed=2)
    torch.manual_seed(99)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(first[name], fresh(seed=1)[name]) for name in first), "the global seed changed it"
    assert not any(torch.equal(first[name], other[name]) for name in first if first[name].ndim == 2)


def test_no_two_matrices_are_drawn_alike():
    parameters = fresh()
    corners = [tuple(x[:2, :2].flatten().tolist()) for x in parameters.values() if x.ndim == 2]
    assert len(set(corners)) == len(corners)


def test_a_half_precision_model_gets_the_rounded_weights_of_the_same_seed():
    exact, half = build(Encoder, CONFIG), build(Encoder, CONFIG).bfloat16()
    for model in (exact, half):
        initialize(model, CONFIG, seed=3)
    for true, rounded in zip(exact.parameters(), half.parameters(), strict=True):
        assert torch.equal(true.bfloat16(), rounded)


def test_a_tied_decoder_keeps_the_embeddings_draw():
    parameters = fresh(config=tiny_config())
    assert "decoder.weight" not in parameters
    assert (
        abs(float(parameters["model.embeddings.tok_embeddings.weight"].detach().std()) / (0.02 * CUT_AT_2) - 1) < 0.03
    )


def test_a_weight_nobody_thought_of_is_our_mistake():
    with pytest.raises(AssertionError, match=r"nobody said how model.adapter.weight is drawn"):
        draw("model.adapter.weight", torch.Size([2, 2]), CONFIG, torch.Generator())
