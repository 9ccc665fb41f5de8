"""Settings that cannot be meant are refused where they are written."""

from pathlib import Path

import pytest

from modernbert.core.errors import ConfigError
from modernbert.data.config import Data, Masking, Rows, Source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0}, r"masking\.rate is 0, expected a share above 0 and up to 1"),
        ({"rate": 1.5}, r"masking\.rate is 1\.5"),
        ({"rate": float("nan")}, r"masking\.rate is nan"),
        ({"final_rate": 0.0}, r"masking\.final_rate is 0\.0, expected a share above 0 and up to 1"),
        ({"mask_share": -0.1}, r"masking\.mask_share is -0\.1, expected a share from 0 to 1"),
        ({"random_share": 2.0}, r"masking\.random_share is 2\.0, expected a share from 0 to 1"),
        ({"random_share": 0.3}, r"mask_share 0\.8 and masking\.random_share 0\.3 are together above 1: .*; lower one"),
        ({"span": 0.5}, r"masking\.span is 0\.5, expected a mean length from 1 to 10 tokens"),
        ({"span": 11.0}, r"masking\.span is 11\.0, expected a mean length"),
        ({"span": 3.0, "whole_words": True}, r"span and masking\.whole_words cannot both be asked for: choose one"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Masking(**settings)


def test_the_rate_moves_in_a_straight_line_and_stays_at_its_end():
    policy = Masking(rate=0.3, final_rate=0.1)
    assert [policy.rate_at(spent) for spent in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([0.3, 0.2, 0.1, 0.1])
    assert Masking(rate=0.3).rate_at(0.7) == 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": 0.0}, r"weight is 0\.0, expected a number above 0: leave the source out instead"),
        ({"weight": float("nan")}, r"weight is nan, expected a number above 0"),
        ({"weight": float("inf")}, r"weight is inf, expected a number above 0"),
        ({"at_least": 10, "at_most": 9}, r"at_most is 9.*, below at_least \(10.*\): no document is left"),
        ({"at_most": 0}, r"at_most is 0.*, below at_least"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Source(path=Path("shards"), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 2}, r"length is 2.*, expected 3 or more: \[CLS\], a token and \[SEP\]"),
        ({"length": 100, "room": 99}, r"room is 99.*, less than length \(100.*\): the longest piece must fit a row"),
        ({"look_ahead": 0}, r"look_ahead is 0, expected 1 piece or more"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Rows(**settings)


@pytest.mark.parametrize("settings", [{"num_workers": -1}, {"most_epochs": 0.0}], ids=["workers", "epochs"])
def test_data_that_cannot_be_meant_is_refused(settings):
    with pytest.raises(ConfigError, match=r"num_workers is 0 or more and most_epochs above 0: found"):
        Data(**settings)
