"""Amounts in words: both ways, and every refusal."""

import copy
import json
import pickle

import pytest

from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Duration, Tokens


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("1.7T tokens", 1_700_000_000_000),
        ("50B", 50_000_000_000),
        ("3_000", 3_000),
        (12, 12),
        (0, 0),
        (1e9, 1_000_000_000),
        ("4.72M tokens", 4_720_000),
        (" 5 k token ", 5_000),
        ("2tokens", 2),
        ("1.5e9", 1_500_000_000),
        (".5K", 500),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_tokens_are_read_from_words(words, count):
    tokens = Tokens.parse(words)
    assert type(tokens) is Tokens
    assert tokens == count


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 tokens"),
        (1, "1 token"),
        (999, "999 tokens"),
        (1_000, "1K tokens"),
        (1_700_000_000_000, "1.7T tokens"),
        (4_720_000, "4.72M tokens"),
        (1_050_000, "1.05M tokens"),
        (50_000_000_000, "50B tokens"),
        (1_234_567, "1_234_567 tokens"),
        (2**63 - 1, "9_223_372_036_854_775_807 tokens"),
    ],
)
def test_tokens_are_printed_in_words_which_read_back(count, words):
    assert str(Tokens(count)) == f"{Tokens(count)}" == words
    assert Tokens.parse(words) == count


@pytest.mark.parametrize("words", ["lots", "", "-5", "1.5", "1.5 tokens", "5Q", "1,000", "K", "3_", "1.00000000000000000000000000000000001K", "nan", float("nan"), float("inf"), 0.5, True, "1e9999999999", "5 words"])  # fmt: skip
def test_what_is_no_number_of_tokens_is_refused_with_examples(words):
    with pytest.raises(ConfigError) as caught:
        Tokens.parse(words)
    assert str(caught.value) == (
        f"found {words!r}, expected a whole number of tokens such as '1.7T tokens', '50B' or 3_000"
    )


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (-1, "-1"),
        (2**63, "9223372036854775808"),
        ("10000000T", "10000000000000000000"),
        ("1e999", "a number of 3319 bits"),
        (-(10**5000), "a number of 16610 bits"),
    ],
    ids=["negative", "one too many", "words", "huge words", "hugely negative"],
)
def test_tokens_outside_64_bits_are_refused(count, found):
    with pytest.raises(ConfigError) as caught:
        Tokens.parse(count)
    assert str(caught.value).startswith(f"found {found}, outside 0 to 2**63 - 1; expected a whole number of tokens")


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("90s", 90),
        ("3 min", 180),
        ("1.5h", 5_400),
        ("2d", 172_800),
        ("250 ms", 0.25),
        ("5m", 300),
        ("1 hour", 3_600),
        ("2 days", 172_800),
        ("1_000 seconds", 1_000),
        ("0s", 0),
        ("1e-07 s", 1e-7),
        (Duration(7), 7),
    ],
)
def test_durations_are_read_from_words(words, seconds):
    duration = Duration.parse(words)
    assert type(duration) is Duration
    assert duration == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-0.0, "0 s"),
        (1, "1 s"),
        (0.25, "250 ms"),
        (90, "1.5 min"),
        (600, "10 min"),
        (5_400, "1.5 h"),
        (172_800, "2 d"),
        (86_401, "86401 s"),
        (1e-7, "1e-07 s"),
        (1 / 3, "0.3333333333333333 s"),
        (1.7e308, "1.7e+308 s"),
    ],
)
def test_durations_are_printed_in_words_which_read_back(seconds, words):
    assert str(Duration(seconds)) == f"{Duration(seconds)}" == words
    assert Duration.parse(words) == seconds


@pytest.mark.parametrize(
    "words", ["soon", "", "90", 90, 1.5, None, "-3s", "3 weeks", "5M", "s", "1:30", "nan s", "inf s"]
)
def test_what_is_no_duration_is_refused_with_examples(words):
    with pytest.raises(ConfigError) as caught:
        Duration.parse(words)
    assert str(caught.value) == (
        f"found {words!r}, expected a duration with its unit such as '90s', '3 min', '1.5h' or '2d'"
    )


def test_a_duration_too_long_for_a_float_is_refused():
    with pytest.raises(ConfigError, match=r"^found '1e308 d', too long for a float; expected a duration with its unit"):
        Duration.parse("1e308 d")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), float("-inf")])
def test_seconds_that_are_no_duration_are_refused(seconds):
    with pytest.raises(ConfigError, match=r"^found (-1|nan|inf|-inf), which is no span of seconds; expected a dura"):
        Duration(seconds)


def test_seconds_too_large_for_a_float_are_refused():
    with pytest.raises(ConfigError, match=r"^found a number of 1329 bits, which is no span of seconds; expected"):
        Duration(10**400)


@pytest.mark.parametrize("amount", [Tokens(4_720_000), Duration(0.1)], ids=repr)
def test_quantities_survive_a_copy_a_pickle_and_another_process(amount):
    for twin in (copy.deepcopy(amount), pickle.loads(pickle.dumps(amount)), eval(repr(amount))):
        assert type(twin) is type(amount)
        assert twin == amount


def test_quantities_are_plain_numbers_in_arithmetic_and_json():
    assert type(Tokens(3) + Tokens(4)) is int
    assert type(Duration(3) * 2) is float
    assert Tokens(3) - 5 == -2, "a difference may be negative"
    assert json.dumps([Tokens(3_000), Duration(1.5)]) == "[3000, 1.5]"
