"""Formulas against counting."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from modernbert.model import counts
from modernbert.model.config import SIZES
from modernbert.model.heads import Encoder, MaskedLM, build
from modernbert.ops.packed import Packed
from support.tiny import random_documents, tiny_config

VARIANTS = {
    "plain": {},
    "attention bias": {"attention_bias": True},
    "feed-forward bias": {"mlp_bias": True},
    "norm bias": {"norm_bias": True},
    "head bias": {"classifier_bias": True},
    "no decoder bias": {"decoder_bias": False},
    "untied": {"tie_word_embeddings": False},
    "everything": {
        "attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True, "tie_word_embeddings": False,
    },
    "one layer": {"num_hidden_layers": 1},
}  # fmt: skip


def counted(kind, config):
    return sum(parameter.numel() for parameter in build(kind, config, on_meta=True).parameters())


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
def test_the_parameter_formula_counts_every_named_size(config):
    assert counts.num_parameters(config) == counted(MaskedLM, config)
    assert counts.num_parameters(config, head=False) == counted(Encoder, config)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_parameter_formula_counts_every_variant(variant):
    config = tiny_config(**variant)
    assert counts.num_parameters(config) == counted(MaskedLM, config)
    assert counts.num_parameters(config, head=False) == counted(Encoder, config)


def test_base_and_large_have_the_parameters_of_the_hubs_files():
    assert counts.num_parameters(SIZES["base"]) == 149_655_232
    assert counts.num_parameters(SIZES["large"]) == 395_881_664


@pytest.mark.parametrize(("name", "millions"), [("17m", 17), ("32m", 32), ("68m", 68)])
def test_ettins_sizes_are_named_after_their_parameters(name, millions):
    assert abs(counts.num_parameters(SIZES[name]) / 1e6 - millions) < 1.5


def test_a_token_of_base_costs_221_million_operations_in_linear_layers():
    assert round(counts.linear_flops_per_token(SIZES["base"]) / 1e6) == 221


def test_the_operation_formula_counts_what_a_global_model_computes():
    config = tiny_config(global_attn_every_n_layers=1)
    lengths, at = [3, 0, 70, 2], torch.tensor([0, 5, 40])
    packed = Packed.from_lists(random_documents(lengths))
    model = build(MaskedLM, config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(packed, at, backend="reference")
    assert counts.forward_flops(config, lengths, num_predicted=3) == counter.get_total_flops()


def test_a_window_saves_what_it_hides():
    """The reference computes hidden pairs, too, so here the formula is put together by hand."""
    config, lengths = tiny_config(local_attention=16), [3, 40, 100]  # layers: global, two sliding, global
    pairs = sum(2 * n * n + 2 * brute_force(n, 8) for n in lengths)
    linear = sum(lengths) * 2 * 4 * (4 * 128**2 + 3 * 128 * 96)
    assert counts.attention_flops(config, lengths) == 4 * 128 * pairs
    assert counts.forward_flops(config, iter(lengths)) == linear + 4 * 128 * pairs


@pytest.mark.parametrize("reach", [0, 1, 8, 64])
@pytest.mark.parametrize("length", [0, 1, 2, 8, 9, 10, 64, 65, 66, 130])
def test_pairs_in_a_window_are_counted_at_every_edge(length, reach):
    assert counts.pairs_in_window(length, reach) == brute_force(length, reach)


def brute_force(length, reach):
    return sum(abs(a - b) <= reach for a in range(length) for b in range(length))
