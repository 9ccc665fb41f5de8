from dataclasses import replace

import pytest

from modernbert.bench.backends import backend
from modernbert.bench.rates import Rates
from modernbert.bench.rivals import rival
from modernbert.bench.roofline_figure import draw_roofline, highest_rates, intensity, lines, spots
from support.studies import RATES, study


def test_more_tokens_a_batch_mean_more_operations_a_byte():
    one, engine = rival("modernbert", "base"), backend("stock-bf16")
    few, many = (intensity(one, engine, flops=one.flops([tokens]), tokens=tokens, batches=1) for tokens in (32, 512))
    assert 20 < few < 32  # hardly more than two operations for each number of two bytes, 32 times
    assert many > 5 * few
    assert intensity(one, backend("stock-fp32"), flops=one.flops([512]), tokens=512, batches=1) == pytest.approx(
        many / 2
    )


def test_every_backend_of_ours_is_under_the_roof_once_a_workload():
    found = spots(study(), "base")
    assert len(found) == len({(spot.backend, spot.label) for spot in found}) == 18
    assert {name: len(line) for name, line in lines(study(), "base").items()} == {"ours-bf16": 11, "stock-bf16": 8}
    assert spots(study(), "large") == []


def test_the_walls_are_the_best_that_was_seen():
    slow = replace(study(), rates=Rates(float32=1e9, bfloat16=2e9, bandwidth=1e9))
    assert highest_rates(slow) == RATES
    assert highest_rates(replace(slow, cells=(), scaling=())) == slow.rates


def test_the_figure_says_what_the_walls_are():
    figure = draw_roofline(study(), "base")
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert "bfloat16 matrix products: 900 GFLOP/s measured" in words
    assert "memory: 22 GB/s measured" in words
