from dataclasses import replace
from math import log

import pytest

from modernbert.bench.shape_scores import Work, depth_factor, enough_layers, score, utilisation
from modernbert.bench.shapes import shape
from modernbert.bench.targets import TARGETS, Target
from modernbert.core.errors import UserError
from modernbert.model.config import SIZES
from modernbert.model.counts import linear_flops_per_token

BASKET = tuple(TARGETS.values())
IDEAL = Target(
    name="ideal",
    title="ideal",
    units=1,
    peak=1e12,
    bandwidth=1e30,
    weight=1.0,
    source="nowhere",
    tiles=((1, 1),),
    gap=0.0,
)


def test_without_tiles_waves_and_memory_only_attention_is_left():
    """By hand: 1,024 tokens of base in documents of 512, attention at half the peak, 8 of 22 layers global."""
    found = score(SIZES["base"], [IDEAL], Work(batches=(1024,)))
    linear = linear_flops_per_token(SIZES["base"])
    in_window = sum(min(512, i + 65) - max(0, i - 64) for i in range(512))
    attention = 4 * 768 * (8 * 512**2 + 14 * in_window) / 512
    assert found.speed.tiles == found.speed.waves == 1
    assert found.speed.matrices == pytest.approx(linear / (linear + 2 * attention))
    assert found.speed.tokens_per_second == pytest.approx(1e12 / (linear + 2 * attention))


def test_memory_is_the_wall_where_it_is_slow():
    """By hand: every number that passes memory, 2 bytes each, in a layer of 768 and 1,152 for 64 tokens."""
    slow = replace(IDEAL, peak=1e30, bandwidth=1e9)
    found = score(SIZES["base"], [slow], Work(batches=(64,), length=64))
    weights = 4 * 768**2 + 3 * 768 * 1152
    in_and_out = 64 * (768 + 2304 + 768 + 768 + 768 + 2304 + 1152 + 768)
    beside = 64 * (4 * 768 + 14 * 768 + 3 * 1152)
    assert found.speed.tokens_per_second == pytest.approx(64 / (22 * 2 * (weights + in_and_out + beside) / 1e9))


def test_a_pause_after_every_kernel_counts_for_each_layer():
    pausing = replace(IDEAL, peak=1e30, gap=1e-3)
    found = score(SIZES["base"], [pausing], Work(batches=(1000,)))
    assert found.speed.tokens_per_second == pytest.approx(1000 / (22 * 11 * 1e-3))


def test_tiles_and_waves_are_told_apart():
    """One product of Wi's kind would be 1,000 x 2,304: with tiles of 1,000 x 2,304 every other weight is padded."""
    padded = score(SIZES["base"], [replace(IDEAL, tiles=((1000, 2304),))], Work(batches=(1000,)))
    useful, whole = 2304 * 768 + 768 * 768 + 2304 * 768 + 768 * 1152, 2304 * (768 + 768 + 768 + 1152)
    assert padded.speed.tiles == pytest.approx(useful / whole)
    assert padded.speed.waves == 1
    idle = score(SIZES["base"], [replace(IDEAL, tiles=((1000, 768),), units=3)], Work(batches=(1000,)))
    busy = 2304 * 768 * 2 + 768 * 768 + 768 * 1152  # Wqkv and Wi fill three units, both Wo only one
    assert idle.speed.tiles == 1
    assert idle.speed.waves == pytest.approx(busy / (2304 * 768 * 2 + 3 * 768 * 768 + 3 * 768 * 1152))


def test_the_three_shares_multiply_to_the_share_of_the_peak():
    found = score(SIZES["large"], BASKET, Work())
    for speed in (found.speed, *found.speeds.values()):
        assert 0 < speed.of_peak < 1
        assert speed.of_peak == pytest.approx(speed.tiles * speed.waves * speed.matrices)
    assert found.value == pytest.approx(found.speed.of_peak * found.depth)
    assert list(found.speeds) == list(TARGETS)


def test_one_batch_s_share_of_the_peak_is_its_speed_times_its_work():
    found = score(SIZES["base"], [TARGETS["l4"]], Work(batches=(4096,))).speeds["l4"]
    assert found.of_peak == pytest.approx(found.tokens_per_second * linear_flops_per_token(SIZES["base"]) / 121e12)


def test_a_bad_target_counts_more_than_a_good_one():
    """Means of slowdowns: twice as slow on one of two is three quarters in time, not in speed."""
    fast, slow = replace(IDEAL, name="fast"), replace(IDEAL, name="slow", units=1000, tiles=((1024, 2304),))
    one, other, both = (score(SIZES["base"], which, Work()) for which in ([fast], [slow], [fast, slow]))
    mean = (1 / one.speed.of_peak + 1 / other.speed.of_peak) / 2
    assert both.speed.of_peak == pytest.approx(1 / mean)
    weighted = score(SIZES["base"], [fast, replace(slow, weight=3.0)], Work())
    assert weighted.speed.of_peak == pytest.approx(4 / (1 / one.speed.of_peak + 3 / other.speed.of_peak))


def test_the_estimate_is_above_what_the_paper_measured_and_in_its_order():
    """Table 2 on an RTX 4090, fixed 512: 148.1 and 52.3 thousand tokens a second."""
    work = Work(batches=(65_536,))
    base, large = (score(SIZES[name], [TARGETS["4090"]], work).speed.tokens_per_second for name in ("base", "large"))
    assert 148.1e3 < base < 4 * 148.1e3
    assert 52.3e3 < large < 4 * 52.3e3
    assert base / large == pytest.approx(148.1 / 52.3, rel=0.2)


def test_half_the_layers_are_worth_so_much_less():
    enough = enough_layers(768)
    assert enough == pytest.approx((log(768) - 5.039) / 0.0555)
    assert round(enough) == 29
    assert round(enough_layers(1024)) == 34
    full, half = (shape(layers=layers, hidden=768, gate=768) for layers in (58, 29))
    assert depth_factor(full, 0.2) == 1
    assert depth_factor(replace(half, num_hidden_layers=14), 0.2) == pytest.approx(0.8, rel=0.02)
    assert depth_factor(half, 0.0) == depth_factor(replace(half, num_hidden_layers=4), 0.0) == 1


def test_the_width_that_can_use_a_depth_fits_levine_s_table():
    """Their suggestion for 125M parameters is 23 layers of 555, and 80 of 13,500 for GPT-3's 175B."""
    assert enough_layers(555) == pytest.approx(23, abs=0.5)
    assert enough_layers(13_500) == pytest.approx(80, abs=1)


def test_a_narrow_model_needs_one_layer_at_least():
    assert enough_layers(128) == 1


def test_the_reference_s_score_by_hand():
    """Base on a T4 of 40 units: 54 tiles leave 14, 18 leave 18; mlp.Wo is 30 one way and 27 the other."""
    both = [14 / 40, 14 / 40, 18 / 40, 18 / 40, 14 / 40, 14 / 40, 30 / 40, 27 / 40]
    assert utilisation(SIZES["base"], [TARGETS["t4"]]) == pytest.approx(sum(both) / 8)
    assert utilisation(SIZES["base"], [IDEAL]) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batches": ()}, r"batches and length are 1 or more: found \[\] and 512"),
        ({"batches": (0,)}, r"batches and length are 1 or more: found \[0\] and 512"),
        ({"length": 0}, r"batches and length are 1 or more: found \[1024, 4096, 16384\] and 0"),
        ({"depth_worth": 1.0}, r"depth_worth: found 1, expected 0 \(depth does not count\) to below 1"),
        ({"depth_worth": -0.1}, r"depth_worth: found -0\.1"),
    ],
)
def test_work_that_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Work(**settings)
