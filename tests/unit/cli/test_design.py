import json
import re

import pytest

from modernbert.bench import shape_timing
from modernbert.bench.shape_timing import Timing, Timings
from modernbert.bench.shapes import same_shape, shape
from modernbert.cli.design import Design, _thousands
from modernbert.core.errors import UserError
from modernbert.train.recipes import read_recipe

TINY = {
    "parameters": "1M..1.2M",
    "hidden_sizes": (128,),
    "vocab_size": 1024,
    "part_tiles": True,
    "targets": ("t4",),
    "length": 64,
}
"""A space that takes no time to search and to time."""


def test_the_ranking_has_a_row_a_shape_and_says_why(capsys):
    Design(top=3).run()
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "16 shapes of 130M to 150M parameters, for T4, A10, L4, RTX 3090, RTX 4090, A100, H100"
    assert "dropped 211: the last layer is not global" in lines
    rows = [line.split() for line in lines if line[:3].strip().isdecimal() and "%" in line]
    assert [row[:4] for row in rows] == [
        ["1", "16", "768", "1,920"],
        ["2", "22", "768", "1,152"],
        ["3", "25", "768", "896"],
    ]
    assert rows[1][8] == "base"
    assert "depth: 100 where the width can use no more layers (29 for 768), 20% less for half of them" in lines
    assert lines[-1].startswith("base (22 x 768, gate 1,152): place 2 of 16, 0.5% below the first")


def test_the_facts_as_json(capsys):
    Design(size="large", top=2, json=True).run()
    found = json.loads(capsys.readouterr().out)
    assert found["num_shapes"] == 75
    assert [one["place"] for one in found["shapes"]] == [1, 2]
    first = found["shapes"][0]
    assert first["hidden_size"] == 64 * first["num_attention_heads"] == 1024
    assert first["score"] == pytest.approx(first["tiles"] * first["waves"] * first["matrices"] * first["depth"])
    assert first["tokens_per_second"].keys() == {"t4", "a10", "l4", "3090", "4090", "a100", "h100"}
    assert found["targets"][0]["source"].startswith("NVIDIA Turing")
    assert found["published"][0].startswith("large (28 x 1,024, gate 2,624): place 20 of 75")
    assert "measured" not in found
    assert found["recipe"] is None


def test_every_flag_reaches_the_search(capsys):
    Design(**TINY, layers="4..7", expansion="2..8", depth_worth=0.0, batches=(512,), json=True).run()
    found = json.loads(capsys.readouterr().out)
    assert {one["num_hidden_layers"] for one in found["shapes"]} == {4, 7}
    assert {one["hidden_size"] for one in found["shapes"]} == {128}
    assert {one["depth"] for one in found["shapes"]} == {1.0}
    assert found["shapes"][0]["tokens_per_second"].keys() == {"t4"}


def test_the_shape_in_place_is_written_as_a_recipe(capsys, tmp_path):
    path = tmp_path / "mine.yaml"
    Design(write=path, pick=3).run()
    assert capsys.readouterr().out.splitlines()[-1] == f"{path}: 25 x 768, gate 896, all else from the recipe base"
    assert same_shape(read_recipe([path]).model, shape(layers=25, hidden=768, gate=896))
    assert "designed for T4, A10, L4, RTX 3090" in path.read_text()


def test_what_was_timed_is_ranked_by_the_clock_and_by_depth(capsys, tmp_path, monkeypatch):
    """The clock says that the second is twice as fast for its work, and the published base three times."""
    monkeypatch.setattr(shape_timing, "time_shapes", _a_clock_that_finds(0.1, 0.2, 0.3))
    path = tmp_path / "mine.yaml"
    Design(depth_worth=0.0, measure=True, short_list=2, write=path, pick=2, json=True).run()
    found = json.loads(capsys.readouterr().out)
    measured = found["measured"]["shapes"]
    assert [one["of_matmul"] for one in measured] == [0.3, 0.2, 0.1]
    assert [one["place"] for one in measured] == [10, 2, 1]
    assert [one["name"] for one in measured] == ["base", None, None]
    second = next(one for one in found["shapes"] if one["place"] == 2)
    assert read_recipe([path]).model.intermediate_size == second["intermediate_size"]


def test_depth_counts_in_what_was_timed(capsys, monkeypatch):
    """As fast for their work, the second has 22 layers to the first's 16."""
    monkeypatch.setattr(shape_timing, "time_shapes", _a_clock_that_finds(0.1, 0.1))
    Design(measure=True, short_list=2, json=True).run()
    found = json.loads(capsys.readouterr().out)
    assert [one["place"] for one in found["measured"]["shapes"]] == [2, 1]


@pytest.mark.parametrize(("share", "is_said"), [(1.2, True), (0.9, False)], ids=["busy", "quiet"])
def test_more_than_the_machine_can_do_is_called_out(share, is_said, capsys, monkeypatch):
    monkeypatch.setattr(shape_timing, "time_shapes", _a_clock_that_finds(share, 0.5))
    Design(measure=True, short_list=2).run()
    assert ("above 100% of matmul: something else was running" in capsys.readouterr().out) is is_said


def _a_clock_that_finds(*shares):
    def clock(shapes, *, length, seconds):
        timings = tuple(
            Timing(shape=one, tokens_per_second=1.0, slowest=1.0, fastest=1.0, of_matmul=share)
            for one, share in zip(shapes, shares, strict=True)
        )
        return Timings(device="cpu", dtype="float32", matmul=1e9, tokens=2048, length=length, rounds=3, shapes=timings)

    return clock


def test_the_measured_table_says_how_it_was_measured(capsys):
    Design(**TINY, measure=True, short_list=2, seconds=0.01).run()
    out = capsys.readouterr().out
    assert "of matmul" in out
    assert re.search(r"measured on \w+ in \w+: 2,048 tokens in documents of 64, medians of \d+ rounds in turns", out)
    assert re.search(r"agree which uses the device better in [01] of 1 pairs", out)


WRONG = {
    "one end": ({"parameters": "15M"}, "--parameters: found '15M', expected two ends such as 15M..20M"),
    "no number": ({"expansion": "a..b"}, r"--expansion: found 'a\.\.b', expected two ends such as 2\.\.4"),
    "a turned range": ({"layers": "9..4"}, "layers: found 9 to 4, expected a range above 0, the smaller end first"),
    "an unknown card": ({"targets": ("v100",)}, "target 'v100': found no such device; there are t4, a10"),
    "no rows": ({"top": 0}, "top and short_list are 1 or more and seconds above 0: found 0, 5 and 60"),
    "a place too far": ({"pick": 17}, "--pick: found 17, expected 1 to 16, as many as the space holds"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_use_is_one_sentence(changes, message):
    with pytest.raises(UserError, match=message):
        Design(**changes).run()


def test_what_cannot_be_written_is_refused_before_anything_is_timed(tmp_path):
    with pytest.raises(UserError, match="--pick: found 3, expected 1 to 2, as many as are timed"):
        Design(**TINY, measure=True, short_list=2, seconds=1e6, pick=3).run()
    with pytest.raises(UserError, match=r"mine\.txt: found '\.txt', expected a name that ends in \.yaml"):
        Design(**TINY, measure=True, seconds=1e6, write=tmp_path / "mine.txt").run()


@pytest.mark.parametrize(
    ("number", "text"), [(1_583_300, "1,583"), (24_610, "24.6"), (2_461, "2.46"), (246.1, "0.246")]
)
def test_speeds_keep_three_digits(number, text):
    assert _thousands(number) == text
