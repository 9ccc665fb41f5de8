import pytest

from modernbert.bench.shapes import Space, cut_matrices, matrices, same_shape, search, shape
from modernbert.core.errors import UserError
from modernbert.model.config import SIZES
from modernbert.model.counts import num_parameters
from modernbert.model.heads import Encoder, build

BASE = Space(parameters=(130_000_000, 150_000_000), hidden_sizes=(768,))


def test_every_shape_of_the_grid_keeps_every_rule():
    found = search(BASE)
    assert len(found.shapes) > 10
    for one in found.shapes:
        assert 130e6 <= num_parameters(one) <= 150e6
        assert one.layer_kinds[0] == one.layer_kinds[-1] == "full_attention"
        assert 2 <= 2 * one.intermediate_size / one.hidden_size <= 6
        for rows, columns in matrices(one).values():
            assert rows % 64 == columns % 64 == 0
            assert rows * columns % (128 * 256) == 0
        assert one.head_dim == 64


def test_the_grid_holds_the_published_shapes_once():
    large = Space(parameters=(350_000_000, 420_000_000), hidden_sizes=(1024,))
    assert sum(same_shape(one, SIZES["base"]) for one in search(BASE).shapes) == 1
    assert sum(same_shape(one, SIZES["large"]) for one in search(large).shapes) == 1


def test_what_each_rule_took_is_counted():
    dropped = search(BASE).dropped
    assert set(dropped) == {
        "the last layer is not global",
        "Wi puts out less than 2 or more than 6 times the width",
        "a weight is no whole number of 128 x 256 tiles",
    }
    assert min(dropped.values()) > 0


def test_the_four_weights_are_those_of_a_layer():
    config = SIZES["base"]
    layer = build(Encoder, config, on_meta=True).layers[0]
    real = {name: tuple(weight.shape) for name, weight in layer.named_parameters() if weight.ndim == 2}
    assert {f"{name}.weight": size for name, size in matrices(config).items()} == real


def test_weights_that_do_not_divide_are_named():
    assert cut_matrices(SIZES["32m"]) == ["attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"]
    assert cut_matrices(shape(layers=4, hidden=768, gate=1088)) == ["mlp.Wo"]
    assert cut_matrices(SIZES["large"]) == []


def test_a_small_vocabulary_and_several_widths():
    found = search(Space(parameters=(15_000_000, 20_000_000), hidden_sizes=(512, 256), vocab_size=16_384)).shapes
    assert [one.hidden_size for one in found] == sorted(one.hidden_size for one in found)
    assert {one.hidden_size for one in found} == {256, 512}
    assert {one.vocab_size for one in found} == {16_384}


WRONG = {
    "a turned range": (
        {"parameters": (20, 10)},
        "parameters: found 20 to 10, expected a range above 0, the smaller end first",
    ),
    "no width": ({"hidden_sizes": ()}, "hidden_sizes: found none, expected some, such as 768"),
    "an odd vocabulary": (
        {"vocab_size": 50_001},
        "vocab_size: found 50,001, expected a multiple of 64, which tensor cores want: take 50,048",
    ),
    "an odd width": ({"hidden_sizes": (0,)}, "hidden_sizes: found 0, expected a multiple of 64.*take 64"),
    "a width between heads": (
        {"hidden_sizes": (192,), "head_size": 128},
        "hidden_sizes: found 192, expected a multiple of the head size 128",
    ),
    "never global": ({"global_every": 0}, "global_every: found 0, expected 1 or more"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_space_that_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Space(**{"parameters": (1, 2), "hidden_sizes": (768,)} | changes)


EMPTY = {
    "a table that is too large": (
        Space(parameters=(15_000_000, 20_000_000), hidden_sizes=(768,)),
        "found no shape of 15M to 20M parameters with a width of 768 and a vocabulary of 50,368; "
        "the embeddings alone are larger: take a smaller vocabulary or width",
    ),
    "a depth that is not allowed": (
        Space(parameters=(130_000_000, 150_000_000), hidden_sizes=(768,), layers=(1, 1)),
        "no depth of 1 to 1 gives that: widen a range",
    ),
    "a width that cuts tiles": (
        Space(parameters=(30_000_000, 35_000_000), hidden_sizes=(384,)),
        "were dropped because a weight is no whole number of 128 x 256 tiles; allow cut tiles, or take a width",
    ),
    "a gate that is never right": (
        Space(parameters=(130_000_000, 150_000_000), hidden_sizes=(768,), layers=(4, 4)),
        "were dropped because Wi puts out less than 2 or more than 6 times the width; widen a range",
    ),
}


@pytest.mark.parametrize(("space", "message"), EMPTY.values(), ids=EMPTY)
def test_an_empty_space_says_which_rule_emptied_it(space, message):
    with pytest.raises(UserError, match=message):
        search(space)
