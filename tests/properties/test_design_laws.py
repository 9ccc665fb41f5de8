"""Laws of the search for shapes: tiles, waves, scores, and that parameters are counted right."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.bench.shape_scores import Work, depth_factor, score
from modernbert.bench.shapes import Space, _of_the_right_size, matrices, search, shape
from modernbert.bench.targets import TARGETS
from modernbert.bench.tiles import cut, last_wave, num_tiles, num_waves
from modernbert.core.errors import UserError
from modernbert.model.counts import linear_flops_per_token, num_parameters
from modernbert.model.heads import MaskedLM, build

SIDES = st.integers(1, 5000)
UNITS = st.integers(1, 300)
TILES = st.tuples(st.integers(1, 300), st.integers(1, 300))
SHAPES = st.fixed_dictionaries(  # made into a config by the test itself: the type checks of ours in tests draw random numbers
    {
        "layers": st.integers(1, 40),
        "hidden": st.integers(1, 16).map(lambda heads: 64 * heads),
        "gate": st.integers(1, 64).map(lambda gate: 64 * gate),
        "vocab_size": st.integers(1, 1000).map(lambda rows: 64 * rows),
    }
)
CARDS = st.sampled_from(list(TARGETS.values()))


@given(tiles=st.integers(1, 10_000), units=UNITS, more=st.integers(0, 300))
def test_more_units_never_need_more_waves(tiles, units, more):
    assert num_waves(tiles, units + more) <= num_waves(tiles, units)


@given(tiles=st.integers(1, 10_000), units=UNITS)
def test_waves_are_enough_and_one_less_is_not(tiles, units):
    waves = num_waves(tiles, units)
    assert (waves - 1) * units < tiles <= waves * units
    assert round((waves - 1 + last_wave(tiles, units)) * units) == tiles


@given(rows=SIDES, columns=SIDES, tile=TILES)
def test_tiles_cover_the_matrix_the_same_way_when_it_is_turned(rows, columns, tile):
    count = num_tiles(rows, columns, tile)
    assert count * tile[0] * tile[1] >= rows * columns
    assert count == num_tiles(columns, rows, tile[::-1])


@given(rows=SIDES, columns=SIDES, units=UNITS, tiles=st.lists(TILES, min_size=1, max_size=4))
def test_a_choice_of_tiles_never_hurts_and_nothing_is_gained_from_nowhere(rows, columns, units, tiles):
    found = cut(rows, columns, units, tuple(tiles))
    assert found.padding >= 1
    assert found.idling >= 1
    assert found.slowdown <= min(cut(rows, columns, units, (tile,)).slowdown for tile in tiles)


@settings(max_examples=15, deadline=None)
@given(one=SHAPES)
def test_parameters_and_weights_are_those_of_the_modules(one):
    one = shape(**one)
    model = build(MaskedLM, one, on_meta=True)
    assert num_parameters(one) == sum(weight.numel() for weight in model.parameters())
    in_layers = sum(rows * columns for rows, columns in matrices(one).values())
    assert linear_flops_per_token(one) == 2 * one.num_hidden_layers * in_layers


@settings(max_examples=25, deadline=None)
@given(one=SHAPES, card=CARDS, factor=st.floats(1, 100))
def test_more_memory_bandwidth_and_a_higher_peak_never_slow_a_model_down(one, card, factor):
    def speed(target):
        return score(shape(**one), [target], Work()).speed.tokens_per_second

    for better in (replace(card, bandwidth=card.bandwidth * factor), replace(card, peak=card.peak * factor)):
        assert speed(better) >= speed(card) * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(one=SHAPES, cards=st.lists(CARDS, min_size=1, max_size=4, unique=True), worth=st.floats(0, 0.9))
def test_every_share_is_a_share_and_all_cards_together_lie_between_them(one, cards, worth):
    found = score(shape(**one), cards, Work(depth_worth=worth))
    for share in (found.speed.tiles, found.speed.waves, found.speed.matrices, found.depth, found.value):
        assert 0 < share <= 1 + 1e-9
    of_peak = [speed.of_peak for speed in found.speeds.values()]
    assert min(of_peak) * (1 - 1e-9) <= found.speed.of_peak <= max(of_peak) * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(one=SHAPES, layers=st.integers(0, 40), worth=st.floats(0, 0.9))
def test_more_layers_are_never_worth_less(one, layers, worth):
    deeper = one | {"layers": one["layers"] + layers}
    assert depth_factor(shape(**deeper), worth) >= depth_factor(shape(**one), worth)


@settings(max_examples=15, deadline=None)
@given(
    low=st.integers(5, 60),
    span=st.integers(0, 20),
    widths=st.lists(st.sampled_from([128, 256, 384, 512, 768]), min_size=1, max_size=3),
    whole=st.booleans(),
)
def test_a_search_keeps_what_it_was_asked_for_or_says_why_not(low, span, widths, whole):
    space = Space(
        parameters=(low * 10**6, (low + span) * 10**6),
        hidden_sizes=tuple(widths),
        vocab_size=16_384,
        whole_tiles=whole,
        layers=(4, 16),
    )
    try:
        found = search(space).shapes
    except UserError as refusal:
        found, why = (), str(refusal)
    else:
        why = ""
    assert bool(found) != why.startswith("found no shape of ")
    assert len(set(found)) == len(found)
    for one in found:
        assert low * 10**6 <= num_parameters(one) <= (low + span) * 10**6
        assert one.hidden_size in widths


@settings(max_examples=10, deadline=None)
@given(low=st.integers(3000, 6000), span=st.integers(0, 3000))
def test_a_search_misses_nothing(low, span):
    """Against walking over all gates, one by one."""
    space = Space(parameters=(low * 1000, (low + span) * 1000), hidden_sizes=(128,), vocab_size=16_384, layers=(4, 6))
    walked = [
        (layers, gate)
        for layers in range(4, 7)
        for gate in range(64, 16 * 128 + 1, 64)
        if low * 1000
        <= num_parameters(shape(layers=layers, hidden=128, gate=gate, vocab_size=16_384))
        <= (low + span) * 1000
    ]
    found = [(one.num_hidden_layers, one.intermediate_size) for one in _of_the_right_size(space)]
    assert found == walked
