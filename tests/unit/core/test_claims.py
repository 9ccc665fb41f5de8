"""Two runs in one folder are told apart by what differs between their settings."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modernbert.core.claims import refuse_another
from modernbert.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    out: str = "here"
    lr: float = 1.0
    data: dict[str, int] = field(default_factory=dict)


RECIPE = Path("runs/one/recipe.yaml")


def test_the_same_settings_and_free_ones_are_let_through():
    refuse_another(Run(), Run(), recipe=RECIPE, flag="--out")
    refuse_another(Run(), Run(out="there", data={"a": 1}), recipe=RECIPE, flag="--out", free=("out", "data.a"))


def test_what_differs_is_named_with_both_values_and_the_way_out():
    with pytest.raises(ConfigError) as refused:
        refuse_another(Run(data={"a": 1}), Run(lr=2.0, data={"a": 3}), recipe=RECIPE, flag="--out")
    assert str(refused.value) == (
        "runs/one holds a run of another recipe, which differs in lr (1.0 there, 2.0 here), data.a (1 there, 3 here): "
        "go on with runs/one/recipe.yaml, or choose another folder with --out"
    )


def test_order_counts_where_it_is_said_to():
    before, now = Run(data={"a": 1, "b": 2}), Run(data={"b": 2, "a": 1})
    refuse_another(before, now, recipe=RECIPE, flag="--out")
    with pytest.raises(ConfigError, match=r"differs in data \(a, b there, b, a here\)"):
        refuse_another(before, now, recipe=RECIPE, flag="--out", ordered=("data",))


def test_of_many_differences_four_are_named():
    with pytest.raises(ConfigError, match=r"d \(None there, 1 here\) and more: go on"):
        refuse_another(Run(), Run(data=dict.fromkeys("abcde", 1)), recipe=RECIPE, flag="--out")
