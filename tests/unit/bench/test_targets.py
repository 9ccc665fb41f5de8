import pytest

from modernbert.bench import targets
from modernbert.core.errors import UserError


def test_the_basket_is_the_paper_s():
    assert list(targets.TARGETS) == ["t4", "a10", "l4", "3090", "4090", "a100", "h100"]
    assert all(target.name == name and target.source for name, target in targets.TARGETS.items())


def test_cards_that_serve_count_most():
    weights = {name: target.weight for name, target in targets.TARGETS.items()}
    assert min(weights[name] for name in ("t4", "a10", "l4")) > max(weights[name] for name in ("a100", "h100"))
    assert weights["h100"] > weights["4090"] == weights["3090"]


@pytest.mark.parametrize("target", targets.TARGETS.values(), ids=targets.TARGETS)
def test_a_card_computes_between_80_and_400_numbers_for_each_byte_it_reads(target):
    """Every card of these years does; a slip of a thousand in either figure would not."""
    assert 70 < target.peak / target.bandwidth < 420
    assert 0.5e12 < target.peak / target.units < 8e12


def test_names_are_looked_up_in_order_and_once():
    assert [target.title for target in targets.targets_named(["l4", "t4", "l4"])] == ["L4", "T4"]


def test_this_cpu_is_measured():
    (cpu,) = targets.targets_named(["cpu"])
    assert cpu.units >= 1
    assert 1e9 < cpu.peak < 1e15
    assert 1e8 < cpu.bandwidth < 1e13
    assert cpu.source.startswith("measured just now in ")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["tpu"], r"target 'tpu': found no such device; there are t4, a10, l4, 3090, 4090, a100, h100, cpu"),
        ([], r"found no target, expected some of t4, a10, l4"),
    ],
)
def test_an_unknown_device_is_refused(names, message):
    with pytest.raises(UserError, match=message):
        targets.targets_named(names)
