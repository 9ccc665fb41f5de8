"""Parquet parts as the truth: what merging keeps, and what a store that stopped is told."""

import pytest

from modernbert.retrieval.index.ledger import Ledger
from modernbert.retrieval.index.manifest import Manifest, read_manifest
from modernbert.retrieval.index.parts import read_keys
from modernbert.retrieval.index.record import Entry
from support.records import SETTINGS, record


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path, Manifest(settings=SETTINGS))


def entry(number: int, seed: int = 0) -> Entry:
    return Entry.of(record(number, seed), vector_size=3, tokens_size=2)


def contents(ledger: Ledger) -> dict[str, bytes]:
    places = list(ledger.live.values())
    return {one.id: one.hash for entries in ledger.entries(places) for one in entries}


def test_the_last_word_counts_also_when_read_again(ledger, tmp_path):
    ledger.commit([entry(1), entry(2)], [])
    ledger.commit([entry(1, seed=5)], ["r2"])
    ledger.commit([entry(3)], [])
    expected = {"r1": entry(1, seed=5).hash, "r3": entry(3).hash}
    again = Ledger(tmp_path, read_manifest(tmp_path))
    assert contents(ledger) == contents(again) == expected
    assert {id_: again.hash(place) for id_, place in again.live.items()} == expected
    assert again.manifest.count == 2


def test_a_store_that_stopped_is_told_what_came_after(ledger):
    ledger.commit([entry(1), entry(2), entry(4)], [])
    ledger.commit([entry(1, seed=1), entry(3)], ["r2"])
    ledger.commit([entry(2, seed=2)], ["r3"])
    ledger.commit([entry(5)], ["r4"])
    changes = ledger.changes(1)
    ids = [one.id for entries in ledger.entries(changes.put) for one in entries]
    assert (ids, sorted(changes.gone)) == (["r1", "r2", "r5"], ["r3", "r4"])
    retired = [text for texts in ledger.texts(changes.retired) for text in texts]
    assert retired == [entry(1).text, entry(2).text, entry(4).text]
    assert len(ledger.changes(0).put) == 3
    nothing = ledger.changes(4)
    assert (nothing.put, nothing.gone, nothing.retired) == ([], [], [])


def test_merging_small_parts_keeps_tombstones_of_what_large_ones_hold(ledger, tmp_path):
    ledger.commit([entry(number) for number in range(100)], [])
    for number in range(10):
        ledger.commit([entry(200 + number)], [f"r{number}"])
    before = contents(ledger)
    ledger.compact()
    assert [part.rows for part in ledger.manifest.parts] == [100, 20]
    assert (ledger.manifest.base, ledger.manifest.commit) == (11, 11)
    again = Ledger(tmp_path, read_manifest(tmp_path))
    assert contents(again) == contents(ledger) == before
    assert sorted(path.name for path in again.folder.iterdir()) == sorted(part.name for part in again.manifest.parts)
    again.compact(wholly=True)
    assert [part.rows for part in again.manifest.parts] == [100]
    assert not read_keys(again.folder, again.manifest.parts[0]).removed.any()
    assert contents(again) == before


def test_what_is_mostly_dead_is_merged_wholly(ledger):
    for seed in range(5):
        ledger.commit([entry(number, seed) for number in range(500)], [])
    ledger.compact()
    assert [part.rows for part in ledger.manifest.parts] == [500]


def test_what_no_manifest_names_is_deleted(ledger):
    ledger.clean()
    ledger.commit([entry(1)], [])
    (ledger.folder / "00000002.parquet").write_bytes(b"left by one who was killed")
    (ledger.folder / ".unfinished-1234-x").write_bytes(b"")
    ledger.clean()
    assert [path.name for path in ledger.folder.iterdir()] == ["00000001.parquet"]


def test_the_average_is_fixed_by_the_first_batch_until_measured_again(ledger):
    ledger.commit([entry(1)], [])
    first = ledger.manifest.average_words
    ledger.commit([entry(number) for number in range(2, 30)], [])
    assert ledger.manifest.average_words == first
    ledger.measure()
    assert ledger.manifest.average_words != first
