from pathlib import Path

import pytest

from modernbert.bench.plan import Settings, make_plan
from modernbert.bench.rates import Rates
from modernbert.core.errors import UserError

SLOW, FAST = Rates(float32=50e9, bfloat16=None, bandwidth=1e10), Rates(float32=60e12, bfloat16=600e12, bandwidth=3e12)


def _plan(rates=SLOW, device="cpu", **settings):
    return make_plan(Settings(**settings), rates, device=device, exports=Path("nowhere"))


def test_everything_is_planned_or_said_to_be_left_out():
    plan = _plan(sizes=("base", "large"))
    keys = {cell.key for cell in plan.cells}
    assert len(keys) == 11 * 2 + 5 * 2  # eleven published models; five of them beyond 512 tokens
    assert "bert-base-fixed-8192" not in keys
    assert plan.absent["BERT-base, fixed-8192"] == "its positions end at 512 tokens"
    assert plan.absent["nomic, large"] == "was never published in that size"
    assert [one.key for one in plan.scaling if one.rival.size == "base"] == [
        "modernbert-base-scaling-documents",
        "modernbert-base-scaling-length",
    ]
    for cell in plan.cells:
        assert {each.name for each in cell.backends} | set(cell.left_out) == set(plan.settings.backends)


def test_a_fast_machine_runs_more_documents_and_a_slow_one_enough():
    slow, fast = (_plan(rates, models=("modernbert",), backends=("stock-fp32",)) for rates in (SLOW, FAST))
    documents = {cell.workload.name: cell.documents for cell in slow.cells}
    assert documents == {"fixed-512": 8, "variable-512": 16, "fixed-8192": 2, "variable-8192": 2}
    assert slow.is_scaled_down
    assert all(a.documents < b.documents for a, b in zip(slow.cells, fast.cells, strict=True))


def test_the_number_of_documents_can_be_said():
    assert {cell.documents for cell in _plan(documents=5).cells} == {5}
    assert {cell.documents for cell in _plan(scale=0.25).cells} == {2048}
    whole = _plan(scale=1.0)
    assert {cell.documents for cell in whole.cells} == {8192}
    assert not whole.is_scaled_down
    assert [cell.documents for cell in _plan(documents=5, models=("bert",), workloads=("8x64",)).cells] == [8]


def test_more_work_is_expected_to_take_longer():
    few, many = _plan(documents=8), _plan(documents=80)
    assert few.seconds < many.seconds
    by_key = {cell.key: cell.seconds for cell in many.cells}
    assert by_key["bert-base-fixed-512"] < by_key["gte-base-fixed-8192"]


def test_growth_is_shown_for_the_narrowest_floats_that_run_here():
    assert [each.name for each in _plan(SLOW).scaling[0].backends] == ["stock-fp32", "ours-fp32"]
    assert [each.name for each in _plan(FAST).scaling[0].backends] == ["stock-bf16", "ours-bf16"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"models": ("bort",)}, "--models: found 'bort', expected some of bert"),
        ({"sizes": ("huge",)}, "--sizes: found 'huge', expected some of base, large, tiny"),
        ({"workloads": ("long",)}, "--workloads: found 'long', expected some of fixed-512"),
        ({"backends": ("jax",)}, "--backends: found 'jax', expected some of stock-fp32"),
        ({"documents": 0}, "--documents: found 0, expected 1 or more"),
        ({"scale": 1.5}, "--scale: found 1.5, expected a share of 8,192 documents above 0, up to 1"),
        ({"documents": 5, "scale": 0.5}, "found --documents and --scale, expected one of them"),
        ({"rounds": 0}, "--rounds: found 0, expected 1 or more"),
        ({"models": ()}, "--models, --sizes, --workloads and --backends each need one word or more"),
        ({"budget": "much"}, "--budget: found 'much', expected an amount of memory such as 24GB"),
        ({"budget": "100MB"}, "--budget: found 100MB, but the weights of BERT-base in float32 alone take 0.43 GB"),
        ({"models": ("bert",), "workloads": ("fixed-8192",)}, "nothing is left to measure: its positions end at 512"),
        (
            {"models": ("bert",), "backends": ("ours-fp32",)},
            "nothing is left to measure: .*this package runs ModernBERT",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(settings, words):
    with pytest.raises(UserError, match=words) as told:
        _plan(**settings)
    assert "\n" not in str(told.value)
