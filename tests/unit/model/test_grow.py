"""Growing, against the rule written as loops over single numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from modernbert.core.errors import ConfigError
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from modernbert.model.grow import enlarged, grow, layer_map
from modernbert.model.heads import ARCHITECTURES, MaskedLM, SequenceClassifier
from modernbert.model.store import fresh, load, save
from modernbert.ops.packed import Packed
from support.tiny import random_documents, tiny_config

BIASES = {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True}
SMALL = tiny_config(hidden_size=32, num_attention_heads=4, intermediate_size=24, num_hidden_layers=3, **BIASES)
LARGER = {
    "an even number of heads more": replace(
        SMALL, hidden_size=48, num_attention_heads=6, intermediate_size=40, num_hidden_layers=4
    ),
    "an odd number of heads more": replace(
        SMALL, hidden_size=40, num_attention_heads=5, intermediate_size=25, num_hidden_layers=3
    ),
    "more than three times": replace(
        SMALL, hidden_size=104, num_attention_heads=13, intermediate_size=97, num_hidden_layers=10
    ),
    "only deeper": replace(SMALL, num_hidden_layers=7),
    "the same": SMALL,
}


def _loud(kind=MaskedLM, config=SMALL):
    """Every number another one, norms and biases too."""
    model = fresh(config, kind).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def _wrapped(old, new, offset):
    """Old place of each new one: the middle first, then outwards from both of its ends."""
    places = [None] * new
    for i in range(old):
        places[offset + i] = i
    for i in reversed(range(offset)):
        places[i] = places[i + 1] - 1 if places[i + 1] else old - 1
    for i in range(offset + old, new):
        places[i] = (places[i - 1] + 1) % old
    return places


def _slow(tensor, rows, columns):
    if tensor.ndim == 1:
        return np.array([tensor[i] for i in rows])
    return np.array([[tensor[i, j] for j in columns] for i in rows])


def _twin(small, config, layers):
    """All tensors of the larger model, number by number."""
    old = {name: tensor.numpy() for name, tensor in small.state_dict().items()}
    was = small.config
    head = config.head_dim
    width = _wrapped(was.hidden_size, config.hidden_size, (config.hidden_size - was.hidden_size) // 2)
    middle = (config.hidden_size - was.hidden_size) // 2
    heads = _wrapped(was.hidden_size, config.hidden_size, middle - middle % head)
    qkv = [part * was.hidden_size + i for part in range(3) for i in heads]
    gate = _wrapped(
        was.intermediate_size, config.intermediate_size, (config.intermediate_size - was.intermediate_size) // 2
    )
    both = gate + [was.intermediate_size + i for i in gate]
    words = list(range(was.vocab_size))
    plan = {"model.embeddings.tok_embeddings": (words, width), "decoder": (words, width)}
    plan |= {"head.dense": (width, width)}
    plan |= dict.fromkeys(("model.embeddings.norm", "model.final_norm", "head.norm"), (width, None))
    sources = {name: name for name in plan}
    for i, j in enumerate(layers):
        parts = {
            "attn.Wqkv": (qkv, width), "attn.Wo": (width, heads), "mlp.Wi": (both, width), "mlp.Wo": (width, gate),
            "mlp_norm": (width, None), "attn_norm": (width, None),
        }  # fmt: skip
        for part, way in parts.items():
            plan[f"model.layers.{i}.{part}"] = way
            sources[f"model.layers.{i}.{part}"] = f"model.layers.{j}.{part}"
    new = {}
    for name, (rows, columns) in plan.items():
        for what in ("weight", "bias"):
            if (tensor := old.get(f"{sources[name]}.{what}")) is not None:
                new[f"{name}.{what}"] = _slow(tensor, rows, columns)
            elif name.endswith("attn_norm") and name != "model.layers.0.attn_norm":
                new[f"{name}.{what}"] = np.full(config.hidden_size, float(what == "weight"), np.float32)
    return new


@pytest.mark.parametrize("larger", LARGER)
@pytest.mark.parametrize("how", ["tile", "tile-aligned"])
def test_every_number_is_where_the_rule_puts_it(larger, how):
    config = LARGER[larger]
    small = _loud()
    large = grow(small, config, how=how)
    truth = _twin(small, config, layer_map(SMALL, config, how=how))
    assert large.state_dict().keys() == truth.keys() == fresh(config).state_dict().keys()
    for name, tensor in large.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), truth[name], err_msg=name)


def test_base_becomes_large_by_the_published_map():
    base, large = SIZES["base"], SIZES["large"]
    published = [0, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12, 13, 13, 14, 15, 16, 16, 17, 18, 19, 20, 20, 21]
    assert list(layer_map(base, large)) == published
    strangers = sum(base.layer_kinds[old] != kind for old, kind in zip(published, large.layer_kinds, strict=True))
    assert strangers == 12  # what the docstring says


@pytest.mark.parametrize("small", SIZES)
@pytest.mark.parametrize("large", SIZES)
def test_the_map_stays_inside_the_smaller_model(small, large):
    small, large = SIZES[small], SIZES[large]
    if small.num_hidden_layers <= large.num_hidden_layers:
        layers = layer_map(small, large)
        assert sorted(layers) == list(layers)
        assert set(layers) == set(range(small.num_hidden_layers)), "a layer is left out"


def test_by_kind_no_layer_changes_its_kind_and_none_at_hand_is_nearer():
    base, large = SIZES["base"], SIZES["large"]
    for i, (old, kind) in enumerate(zip(layer_map(base, large, how="tile-aligned"), large.layer_kinds, strict=True)):
        assert base.layer_kinds[old] == kind
        ideal = i * 22 / 28
        assert all(abs(old - ideal) <= abs(j - ideal) for j in range(22) if base.layer_kinds[j] == kind)


def test_every_new_head_is_one_old_head_whole(capsys):
    config = LARGER["an odd number of heads more"]
    rows = SMALL.hidden_size
    small = _loud()
    old = small.model.layers[0].attn.Wqkv.weight.detach()[:rows].unflatten(0, (4, 8))
    large = grow(small, config).model.layers[0].attn.Wqkv.weight.detach()[: config.hidden_size]
    inner = slice((config.hidden_size - rows) // 2, (config.hidden_size - rows) // 2 + rows)
    for head in large.unflatten(0, (5, 8)):
        assert any(torch.equal(head[:, inner], one) for one in old)
    assert "an odd number of heads is added (1): the source's heads start at head 0" in capsys.readouterr().err


def test_the_same_config_gives_the_same_outputs():
    small = _loud()
    packed = Packed.from_lists(random_documents([5, 70]))
    assert torch.equal(grow(small, SMALL)(packed), small(packed))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kind_of_model_grows(architecture, tmp_path):
    config = LARGER["an even number of heads more"]
    large = grow(_loud(ARCHITECTURES[architecture]), config)
    assert type(large) is ARCHITECTURES[architecture]
    packed = Packed.from_lists(random_documents([3, 66]))
    assert bool(torch.isfinite(large(packed)).all())
    save(large, tmp_path)
    again = load(tmp_path, dtype=torch.float32)
    assert again.state_dict().keys() == large.state_dict().keys()
    assert all(torch.equal(tensor, large.state_dict()[name]) for name, tensor in again.state_dict().items())
    # A single output is a dot product, whose order of sums follows where the weights lie in memory.
    torch.testing.assert_close(again(packed), large(packed), atol=1e-4, rtol=1e-5)


def test_a_classifier_keeps_its_labels_and_their_order():
    small = _loud(SequenceClassifier)
    large = grow(small, LARGER["an even number of heads more"])
    assert torch.equal(large.classifier.bias, small.classifier.bias)
    assert torch.equal(large.classifier.weight[:, 8:40], small.classifier.weight)


def test_the_decoder_is_tied_again_and_the_model_can_be_trained():
    large = grow(_loud(), LARGER["only deeper"])
    assert large.decoder.weight is large.model.embeddings.tok_embeddings.weight
    assert all(parameter.requires_grad and not parameter.is_meta for parameter in large.parameters())
    assert not large.training


def test_an_untied_decoder_is_tiled_and_one_untied_now_starts_as_the_embedding():
    untied = replace(LARGER["an even number of heads more"], tie_word_embeddings=False)
    small = _loud(config=replace(SMALL, tie_word_embeddings=False))
    assert torch.equal(grow(small, untied).decoder.weight[:, 8:40], small.decoder.weight)
    large = grow(_loud(), untied)
    assert torch.equal(large.decoder.weight, large.model.embeddings.tok_embeddings.weight)
    assert large.decoder.weight is not large.model.embeddings.tok_embeddings.weight


def test_a_bias_that_is_new_is_zero():
    without = replace(SMALL, **dict.fromkeys(BIASES, False))
    large = grow(_loud(config=without), SMALL)
    biases = [x for name, x in large.named_parameters() if name.endswith("bias") and not name.startswith("decoder")]
    assert biases
    assert not any(bool(bias.any()) for bias in biases)


def test_the_dtype_stays():
    large = grow(_loud(Encoder).bfloat16(), LARGER["only deeper"])
    assert {parameter.dtype for parameter in large.parameters()} == {torch.bfloat16}


def test_the_smaller_model_is_left_as_it_was():
    small = _loud()
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    with torch.no_grad():
        for parameter in grow(small, SMALL).parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in small.state_dict().items())


REFUSED = {
    "another vocabulary": ({"vocab_size": 640}, "vocab_size: found 640, expected the smaller model's 320"),
    "another head size": ({"num_attention_heads": 2}, "head size: found 16, expected the smaller model's 8"),
    "narrower": ({"hidden_size": 24, "num_attention_heads": 3}, "hidden_size: found 24, expected at least the smaller"),
    "shallower": ({"num_hidden_layers": 2}, "num_hidden_layers: found 2, expected at least the smaller model's 3"),
    "a narrower gate": ({"intermediate_size": 23}, "intermediate_size: found 23, expected at least"),
    "other labels": ({"labels": ("a", "b")}, "labels: found a, b, expected the smaller model's LABEL_0, LABEL_1"),
    "without a bias": ({"decoder_bias": False}, "found no decoder.bias in the larger config"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_config_that_is_not_larger_is_refused(case):
    changes, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message):
        grow(_loud(), replace(SMALL, **changes))


def test_a_learnt_decoder_is_not_dropped_by_tying():
    with pytest.raises(ConfigError, match=r"found no decoder.weight in the larger config"):
        grow(_loud(config=replace(SMALL, tie_word_embeddings=False)), SMALL)


def test_a_kind_that_the_smaller_model_lacks_cannot_be_aligned():
    small = replace(SMALL, global_attn_every_n_layers=1)
    with pytest.raises(ConfigError, match="no layer of the kind sliding_attention"):
        layer_map(small, SMALL, how="tile-aligned")


@pytest.mark.parametrize("kind", [MaskedLM, SequenceClassifier])
@pytest.mark.parametrize("layers", [3, 8])
def test_preserved_a_model_twice_or_thrice_as_wide_computes_what_the_smaller_one_did(kind, layers):
    exact = replace(SMALL, norm_eps=1e-12, initializer_range=0.2)  # embeddings are halved, and epsilon would tell
    config = replace(exact, hidden_size=64, num_attention_heads=8, intermediate_size=72, num_hidden_layers=layers)
    small = fresh(exact, kind, seed=3).double().eval()
    large = grow(small, config, how="preserve")
    packed = Packed.from_lists(random_documents([1, 5, 130]))
    wanted, found = small(packed), large(packed)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    tiled = grow(small, config, how="tile")(packed)
    assert (tiled - wanted).abs().max() > 100 * (found - wanted).abs().max()


def test_preserved_the_first_layers_must_be_of_the_same_kinds():
    with pytest.raises(ConfigError, match="first layers are of other kinds than the smaller one's: found preserve"):
        layer_map(SMALL, replace(SMALL, num_hidden_layers=6, global_attn_every_n_layers=2), how="preserve")


def test_a_size_gives_the_shape_and_nothing_else():
    small = replace(SIZES["17m"], vocab_size=640, global_rope_theta=10_000.0, local_attention=64, pad_token_id=3)
    large = enlarged(small, "base")
    assert (large.num_hidden_layers, large.hidden_size, large.intermediate_size, large.head_dim) == (22, 768, 1152, 64)
    assert large.initializer_range == SIZES["base"].initializer_range
    assert (large.vocab_size, large.global_rope_theta, large.local_attention, large.pad_token_id) == (640, 1e4, 64, 3)


def test_a_size_that_nobody_named_is_refused():
    with pytest.raises(ConfigError, match="size: found 'huge', expected one of tiny"):
        enlarged(SMALL, "huge")


def test_layers_listed_one_by_one_cannot_be_enlarged_by_a_size():
    listed = replace(SMALL, layer_types=("full_attention", "full_attention", "sliding_attention"))
    with pytest.raises(ConfigError, match="lists the kind of each layer"):
        enlarged(listed, "large")
