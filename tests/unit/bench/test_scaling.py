import pytest

from modernbert.bench.results import Point
from modernbert.bench.scaling import expected_seconds, exponent, flops_exponent


def _points(power, sizes=(128, 256, 512, 1024, 2048, 4096), overhead=0.0):
    return [
        Point(at=at, tokens=at, flops=float(at**2), batches=1, seconds=(overhead + 1e-6 * at**power,)) for at in sizes
    ]


@pytest.mark.parametrize("power", [1.0, 1.3, 2.0])
def test_the_exponent_of_a_power_is_found(power):
    assert exponent(_points(power), "scaling-length") == pytest.approx(power)
    assert flops_exponent(_points(power), "scaling-length") == pytest.approx(2.0)


def test_small_sizes_do_not_count():
    mostly_overhead = [*_points(1.0, (32, 64, 128), overhead=0.01), *_points(1.0, (512, 1024, 2048))]
    assert exponent(mostly_overhead, "scaling-length") == pytest.approx(1.0)


def test_two_sizes_make_no_exponent():
    assert exponent(_points(1.0, (512, 1024)), "scaling-length") is None
    assert flops_exponent(_points(1.0, (512, 1024)), "scaling-length") is None


def test_what_the_next_size_takes_is_foreseen():
    assert expected_seconds(_points(2.0, (1024, 2048)), 4096) == pytest.approx(1e-6 * 4096**2)
    assert expected_seconds(_points(2.0, (1024,)), 2048) == 0.0
