import pytest

from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import forward_flops
from modernbert.train.cost import MEASURED, Reading, cost, training_flops

H100_PEAK = 989e12
"""FLOP/s of an H100 SXM in bfloat16 without sparsity (NVIDIA's data sheet)."""


def test_flops_are_three_times_those_of_a_forward_pass():
    config = SIZES["17m"]
    once = 3 * forward_flops(config, [512] * 10, num_predicted=1536)
    assert training_flops(config, Reading(tokens=5120, length=512)) == pytest.approx(once, rel=1e-12)


@pytest.mark.parametrize(
    ("size", "length", "hours"),
    [("base", 1024, 8 * 191.1), ("large", 1024, 8 * 420.4)],
)
def test_a_timed_stage_costs_what_was_timed(size, length, hours):
    found = cost(SIZES[size], Reading(tokens=1.719e12, length=length))
    assert found.h100_hours == pytest.approx(hours)
    assert found.tokens_per_second == pytest.approx(1.719e12 / hours / 3600)
    assert found.source.startswith("measured: ModernBERT")


def test_stages_timed_together_cost_that_much_together():
    stages = [Reading(tokens=1.7e12, length=1024), Reading(tokens=0.3e12, length=8192)]
    assert sum(cost(SIZES["32m"], stage).h100_hours for stage in stages) == pytest.approx(4 * 212)


def test_another_shape_is_derived_from_the_nearest_and_says_so():
    config = ModelConfig(num_hidden_layers=20)
    found, base = (cost(shape, Reading(tokens=1e9, length=1024)) for shape in (config, SIZES["base"]))
    assert found.source.startswith("derived from base: ")
    assert found.h100_hours / base.h100_hours == pytest.approx(found.flops / base.flops)
    assert found.flops < base.flops


def test_long_documents_are_compared_with_long_documents():
    short, long = (cost(SIZES["base"], Reading(tokens=1e9, length=length)) for length in (1024, 8192))
    assert long.flops > short.flops
    assert long.tokens_per_second < short.tokens_per_second
    assert long.flops / long.h100_hours > short.flops / short.h100_hours


def test_no_timed_run_is_faster_than_the_machine():
    for run in MEASURED:
        assert 0.05 < run.flops_per_second / H100_PEAK < 0.5, run
