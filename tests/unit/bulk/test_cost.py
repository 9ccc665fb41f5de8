"""Figures by hand, and what is published."""

import pytest

from modernbert.bulk.cost import own, published_decoder, published_encoder
from modernbert.cli.main import main


def test_the_published_comparison_is_as_it_was_told():
    encoder, decoder = published_encoder(15e12), published_decoder(15e12)
    assert (encoder.hours, encoder.price) == (6000, 60_000)
    assert decoder.price == pytest.approx(1_125_000)


def test_hours_and_price_of_ones_own():
    line = own(3.6e9, tokens_per_second=1000, dollars_per_hour=2, utilization=0.5, machine="M", source="as given")
    assert (line.hours, line.price) == (2000, 4000)
    assert len(line.assumptions) == 3


def test_every_assumption_is_printed_and_a_flag(capsys):
    assert main(["cost", "--tokens", "1B", "--tokens-per-second", "1e5", "--dollars-per-hour", "0.36"]) == 0
    said = capsys.readouterr().out
    assert "$          1.00" in said
    assert "100,000 tokens/s on one machine (as given)" in said
    assert main(["cost", "--published-hours", "3000", "--published-dollars-per-hour", "5"]) == 0
    assert "15,000.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tokens-per-second", "1"], "--dollars-per-hour is missing"),
        (["--dollars-per-hour", "1"], "needs a speed"),
        (["--measure", "--done", "x"], "several of"),
        (["--utilization", "2"], "expected a share"),
        (["--tokens", "many"], "expected a whole number of tokens"),
        (["--tokens-per-second", "0", "--dollars-per-hour", "1"], "expected more than 0"),
        (["--done", "nowhere", "--dollars-per-hour", "1"], "found no finished shard"),
    ],
)
def test_what_cannot_be_reckoned_is_told(words, told, capsys):
    assert main(["cost", *words]) == 2
    assert told in capsys.readouterr().err
