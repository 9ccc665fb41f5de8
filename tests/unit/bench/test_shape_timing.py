import pytest

from modernbert.bench import shape_timing
from modernbert.bench.shape_timing import Timings, agreement, time_shapes
from modernbert.bench.shapes import shape
from modernbert.core.errors import UserError
from modernbert.model.counts import linear_flops_per_token

NARROW = shape(layers=4, hidden=64, gate=64, vocab_size=1024)
WIDE = shape(layers=22, hidden=256, gate=512, vocab_size=1024)


@pytest.fixture(scope="module")
def timed() -> Timings:
    return time_shapes([NARROW, WIDE], length=64, tokens=256, seconds=0.01)


def test_every_shape_has_a_median_within_its_range(timed):
    assert timed.rounds >= 3
    assert (timed.tokens, timed.length) == (256, 64)
    assert [one.shape for one in timed.shapes] == [NARROW, WIDE]
    for one in timed.shapes:
        assert 0 < one.slowest <= one.tokens_per_second <= one.fastest


def test_a_shape_with_a_hundred_times_the_work_is_slower(timed):
    narrow, wide = timed.shapes
    assert linear_flops_per_token(WIDE) > 100 * linear_flops_per_token(NARROW)
    assert narrow.tokens_per_second > wide.tokens_per_second


def test_the_share_of_the_matmul_rate_is_the_work_done(timed):
    for one in timed.shapes:
        work = one.tokens_per_second * linear_flops_per_token(one.shape)
        assert one.of_matmul == pytest.approx(work / timed.matmul)


def test_a_whole_model_is_its_first_layer_and_its_periods():
    """22 layers are the first and seven times three; a pass of one layer takes 1 s and one of four 2 s."""
    found = shape_timing._timing(WIDE, [(1.0, 2.0), (1.0, 3.0), (1.0, 0.5)], tokens=800, rate=1e9)
    assert found.tokens_per_second == 800 / 8.0
    assert (found.slowest, found.fastest) == (800 / 15.0, 800 / 1.0)


def test_only_a_few_layers_are_built_and_hardly_any_embeddings():
    one, more = shape_timing._pair(WIDE, shape_timing.torch.device("cpu"), shape_timing.torch.float32)
    assert [len(encoder.layers) for encoder in (one, more)] == [1, 4]
    assert more.config.layer_kinds[-1] == "full_attention"
    assert more.embeddings.tok_embeddings.weight.shape == (512, 256)


def test_agreement_counts_pairs():
    assert agreement([1, 2, 3], [10, 20, 30]) == (3, 3)
    assert agreement([1, 2, 3], [30, 20, 10]) == (0, 3)
    assert agreement([1], [1]) == (0, 0)


def test_nothing_to_time_is_refused():
    with pytest.raises(UserError, match="found no shape to time, expected one or more"):
        time_shapes([])
