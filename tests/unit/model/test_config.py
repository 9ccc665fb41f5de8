"""A model's shape: what follows from it, and what cannot be meant."""

from dataclasses import FrozenInstanceError, replace

import pytest

from modernbert.model.config import SIZES, ModelConfig

FULL, SLIDING = "full_attention", "sliding_attention"


def test_the_defaults_are_modernbert_base():
    base = ModelConfig()
    assert base == SIZES["base"]
    assert (base.head_dim, base.window_reach, len(base.layer_kinds)) == (64, 64, 22)
    assert base.layer_kinds[:7] == (FULL, SLIDING, SLIDING, FULL, SLIDING, SLIDING, FULL)
    assert base.layer_kinds[21] == FULL
    assert base.layer_kinds.count(FULL) == 8
    assert (base.theta(FULL), base.theta(SLIDING)) == (160_000.0, 10_000.0)


def test_named_sizes_grow_and_have_heads_of_64():
    assert list(SIZES) == ["tiny", "17m", "32m", "68m", "base", "large", "1b"]
    assert all(config.head_dim == 64 for config in SIZES.values())
    assert all(config.vocab_size % 64 == 0 for config in SIZES.values())


@pytest.mark.parametrize(("every", "layers", "kinds"), [
    (1, 3, (FULL, FULL, FULL)),
    (2, 5, (FULL, SLIDING, FULL, SLIDING, FULL)),
    (3, 4, (FULL, SLIDING, SLIDING, FULL)),
    (9, 3, (FULL, SLIDING, SLIDING)),
])  # fmt: skip
def test_every_nth_layer_sees_everything(every, layers, kinds):
    assert ModelConfig(num_hidden_layers=layers, global_attn_every_n_layers=every).layer_kinds == kinds


def test_layers_can_be_named_one_by_one():
    kinds = (SLIDING, FULL, SLIDING)
    assert ModelConfig(num_hidden_layers=3, layer_types=kinds).layer_kinds == kinds


def test_a_config_is_a_value():
    assert ModelConfig() == ModelConfig()
    assert len({ModelConfig(), ModelConfig(), ModelConfig(norm_bias=True)}) == 2
    with pytest.raises(FrozenInstanceError):
        ModelConfig().hidden_size = 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"vocab_size": 0}, "vocab_size: found 0, expected 1 or more"),
        ({"hidden_size": -768}, "hidden_size: found -768, expected 1 or more"),
        ({"intermediate_size": 0}, "intermediate_size: found 0, expected 1 or more"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: found 0, expected 1 or more"),
        ({"num_attention_heads": 0}, "num_attention_heads: found 0, expected 1 or more"),
        ({"num_attention_heads": 7}, "hidden_size 768 over num_attention_heads 7 must give an even head size, since rotary "
                                     "positions turn pairs: change one of them"),
        ({"hidden_size": 9, "num_attention_heads": 3}, "hidden_size 9 over num_attention_heads 3 must give an even head"),
        ({"vocab_size": 512}, "pad_token_id: found 50283, expected less than vocab_size 512: give the tokenizer's, or none"),
        ({"layer_types": (FULL,)}, "layer_types names 1 layers, num_hidden_layers says 22: make them agree"),
        ({"global_attn_every_n_layers": 0}, r"global_attn_every_n_layers \(found 0\) is 1 or more"),
        ({"local_attention": 127}, r"local_attention \(found 127\) an even number of tokens, half to each side"),
        ({"local_attention": -2}, r"local_attention \(found -2\) an even number of tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ModelConfig(**settings)


def test_no_pad_token_is_fine():
    assert replace(ModelConfig(), vocab_size=512, pad_token_id=None).pad_token_id is None
