from dataclasses import replace

import pytest

from modernbert.bench.design import PRESETS, design, name_of, reasons, verdicts, words
from modernbert.bench.shape_scores import Work
from modernbert.bench.shapes import Space, same_shape
from modernbert.bench.targets import TARGETS
from modernbert.model.config import SIZES

BASKET = tuple(TARGETS.values())


@pytest.fixture(scope="module")
def base():
    return design(PRESETS["base"], BASKET, Work())


@pytest.fixture(scope="module")
def large():
    return design(PRESETS["large"], BASKET, Work())


def test_the_published_base_is_second_and_nearly_first(base):
    assert base.rank_of(SIZES["base"]) == 2
    assert len(base.scores) == 16
    assert base.scores[1].value / base.scores[0].value > 0.99


def test_the_published_large_is_in_the_first_third_and_within_a_thirtieth(large):
    rank = large.rank_of(SIZES["large"])
    assert rank == 20
    assert len(large.scores) == 75
    assert large.scores[rank - 1].value / large.scores[0].value > 0.97


def test_of_its_depth_the_published_base_is_the_fastest_for_its_work(base):
    alike = [found for found in base.scores if found.shape.num_hidden_layers == 22]
    assert same_shape(max(alike, key=lambda found: found.speed.of_peak).shape, SIZES["base"])


def test_the_ranking_falls(base, large):
    for found in (base, large):
        values = [one.value for one in found.scores]
        assert values == sorted(values, reverse=True)
        assert [found.rank_of(one.shape) for one in found.scores] == list(range(1, len(values) + 1))


def test_the_ranking_is_the_same_whatever_the_order_of_what_is_asked(base):
    again = design(PRESETS["base"], BASKET[::-1], Work(batches=Work().batches[::-1]))
    assert [one.shape for one in again.scores] == [one.shape for one in base.scores]


def test_whether_depth_counts_moves_the_deep_ones():
    flat = design(PRESETS["base"], BASKET, Work(depth_worth=0.0)).scores
    steep = design(PRESETS["base"], BASKET, Work(depth_worth=0.5)).scores
    assert flat[0].shape.num_hidden_layers == 13
    assert steep[0].shape.num_hidden_layers == 25


def test_a_shape_outside_has_no_place(base):
    assert base.rank_of(SIZES["large"]) is None


def test_names_are_those_of_the_sizes(base):
    assert name_of(base.scores[1].shape) == "base"
    assert name_of(base.scores[0].shape) is None
    assert words(base.scores[1].shape) == "22 x 768, gate 1,152"


def test_the_first_is_explained_by_its_shares_and_the_others_against_it(base):
    first, second = base.scores[:2]
    assert reasons(first, first).startswith(f"{first.speed.of_peak:.1%} of the peak = tiles 100.0% x waves ")
    against = reasons(second, first)
    assert against == (
        f"waves {second.speed.waves / first.speed.waves - 1:+.1%}, "
        f"matrices {second.speed.matrices / first.speed.matrices - 1:+.1%}, depth {second.depth / first.depth - 1:+.1%}"
    )
    assert reasons(replace(first), first) == "the same"


def test_a_verdict_says_why_a_published_shape_is_not_first(large):
    (verdict,) = verdicts(large)
    assert verdict.startswith(
        "large (28 x 1,024, gate 2,624): place 20 of 75, 2.8% below the first (34 x 1,024, gate 2,112): "
    )
    assert "depth -6.1%" in verdict
    assert verdict.endswith("; by the reference's count of busy units, place 68")


def test_a_verdict_for_the_first_place_and_for_a_cpu_has_no_more_to_say():
    only = replace(PRESETS["base"], layers=(22, 22), expansion=(3.0, 3.0))
    assert verdicts(design(only, BASKET, Work())) == [
        "base (22 x 768, gate 1,152): place 1 of 1; by the reference's count of busy units, place 1"
    ]
    cpu = replace(BASKET[0], tiles=((32, 64),))
    assert verdicts(design(only, [cpu], Work())) == ["base (22 x 768, gate 1,152): place 1 of 1"]


def test_a_published_shape_that_breaks_a_rule_is_told_which():
    space = Space(parameters=(15_000_000, 55_000_000), hidden_sizes=(256, 384, 512), vocab_size=16_384)
    told = {line.split()[0]: line for line in verdicts(design(space, BASKET[:1], Work()))}
    assert (
        told["32m"]
        == "32m (10 x 384, gate 576): not in this space, because a weight is no whole number of 128 x 256 tiles"
    )
    shallow = verdicts(design(replace(space, layers=(4, 7), hidden_sizes=(512,)), BASKET[:1], Work()))
    assert shallow == ["68m (19 x 512, gate 768): not in this space, because its depth or its heads are outside"]
