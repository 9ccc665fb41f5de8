"""Stores that were left behind: told what they lack, or built anew, and never believed too much."""

import json
import shutil
from dataclasses import replace

import pytest

from modernbert.retrieval.index.index import Index
from support.records import SETTINGS, answers, assert_same, query, record, store


@pytest.mark.parametrize("name", ["edge", "server"])
def test_a_store_whose_owner_was_killed_is_told_only_what_it_lacks(tmp_path, name, capsys):
    """The disk is copied in the middle of the owner's work: that is what the next one finds."""
    home, killed = tmp_path / "home", tmp_path / "killed"
    with Index.open(home / "i", SETTINGS, store=store(name, home)) as index:
        index.add([record(number) for number in range(10)])
        index.flush()
        index.update([record(number, seed=1) for number in range(3)])
        index.delete(["r4", "r5"])
        index.add([record(20), record(4, seed=2)])
        shutil.copytree(home, killed)
        expected = answers(index, query())
    shutil.rmtree(home)
    killed.rename(home)  # a server's note names its place
    with Index.open(home / "i", store=store(name, home)) as index:
        found = answers(index, query())
        assert_same(found, expected)
        assert any(hit.lexical for hits in found for hit in hits)
    assert "building" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"words": 0}, "words are weighed otherwise now"),
        ({"layout": 1}, "it is laid out as this version does no more"),
        ({"average_words": 1000.0}, "words are weighed otherwise now"),
        ({"commit": 99}, "it stopped at commit 99, parts up to 0 were merged"),
        ({"files": {"segments/none": 1}}, "segments/none is missing or was cut off"),
        ({"surprise": 1}, "its note is damaged:"),
    ],
    ids=lambda value: str(value),
)
def test_a_note_that_does_not_fit_gives_the_store_up(tmp_path, capsys, changed, reason):
    with Index.open(tmp_path / "i", SETTINGS) as index:
        index.add([record(number) for number in range(5)])
        expected = answers(index, query())
    note = tmp_path / "i" / "stores" / "edge" / "applied.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | changed))
    with Index.open(tmp_path / "i") as index:
        assert_same(answers(index, query()), expected)
    assert f"building the store again from the Parquet parts ({reason}" in capsys.readouterr().err


def test_a_new_index_and_a_rebuild_that_was_asked_for_say_nothing(tmp_path, capsys):
    with Index.open(tmp_path / "i", replace(SETTINGS, tokens_size=None)) as index:
        index.add([record(1, has_tokens=False)])
        index.rebuild()
    assert capsys.readouterr().err == ""
