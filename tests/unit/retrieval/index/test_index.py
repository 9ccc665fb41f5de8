"""The index's verbs, the same in every store."""

from dataclasses import replace

import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.record import Added, Query, Record
from support.records import SETTINGS, STORES, answers, assert_same, query, record, store

ALL = [record(number, has_tokens=number % 4 > 0) for number in range(12)]


@pytest.fixture(params=STORES)
def choice(request, tmp_path):
    return store(request.param, tmp_path)


def test_what_was_added_is_found_at_once_and_after_reopening(tmp_path, choice):
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        assert index.add(ALL) == Added(new=12)
        before = answers(index, query())
        assert any(before)
    with Index.open(tmp_path / "i", store=choice) as index:
        assert len(index) == 12
        assert list(index.ids()) == [one.id for one in ALL]
        assert answers(index, query()) == before


def test_adding_the_same_again_does_nothing(tmp_path, choice):
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        index.add(ALL)
        commit = index.commit
        assert index.add(ALL) == Added(unchanged=12)
        changed = replace(ALL[0], metadata={})
        assert index.add([changed, *ALL[1:], record(20)]) == Added(new=1, changed=1, unchanged=11)
        assert index.commit == commit + 1
        assert index.add([]) == Added()
        assert index.delete([]) == index.delete(["nobody"]) == 0
        assert index.commit == commit + 1


def test_updates_replace_and_want_what_is_there(tmp_path, choice):
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        index.add(ALL)
        asked = Query(text="entirely new words", vector=np.array([9.0, 9, 9]))
        assert index.search(asked, mode="lexical") == []
        new = Record("r3", "entirely new words", np.array([1, 1, 1]), None, {"path": "new"})
        assert index.update([new]) == Added(changed=1)
        hit = index.search(asked, mode="lexical")[0]
        assert (hit.id, hit.text, hit.metadata) == ("r3", "entirely new words", {"path": "new"})
        assert (hit.dense, hit.score) == (None, hit.lexical)
        with pytest.raises(UserError, match="update: the index has no record 'r99': add it"):
            index.update([new, record(99)])


def test_records_are_given_back_as_they_came(tmp_path, choice):
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        index.add(ALL)
        index.add([record(5, seed=7)])
        for given, kept in zip([record(5, seed=7), ALL[4]], index.get(["r5", "r4"]), strict=True):
            assert (given.id, given.text, given.metadata) == (kept.id, kept.text, kept.metadata)
            np.testing.assert_array_equal(given.vector, kept.vector)
            assert (given.tokens is None) == (kept.tokens is None)
            if given.tokens is not None:
                np.testing.assert_array_equal(given.tokens, kept.tokens)
        assert "r5" in index
        assert "r99" not in index
        with pytest.raises(UserError, match="get: the index has no record 'r99': ask with `in` first"):
            index.get(["r99"])


def test_records_are_deleted_by_id_and_by_filter(tmp_path, choice):
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        index.add(ALL)
        assert index.delete(["r0", "r0", "nobody"]) == 1
        assert index.delete_where("tags=odd") == 6
        assert index.delete_where("path=*/1/*") == 2
        assert sorted(index.ids()) == ["r2", "r6", "r8"]
        assert len(index) == 3
        assert {hit.id for hit in index.search(query(), top_k=50)} == {"r2", "r6", "r8"}
        with pytest.raises(UserError, match="delete_where: found no filter; to forget everything, delete the folder"):
            index.delete_where(None)
        with pytest.raises(TypeError, match=r"write delete\(\[id\]\)"):
            index.delete("r2")


def test_a_rebuilt_index_answers_as_one_made_anew(tmp_path, choice):
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        index.add([record(1)])
        index.add(ALL[:6])
        index.delete(["r2"])
        index.rebuild()
        kept = index.get(list(index.ids()))
        rebuilt = answers(index, query())
    with Index.open(tmp_path / "anew", SETTINGS, store="exact") as index:
        index.add(kept)
        assert_same(rebuilt, answers(index, query()))


def test_a_reader_sees_the_last_commit_while_the_owner_writes(tmp_path):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as owner:
        owner.add(ALL[:6])
        with Index.open(tmp_path / "i", SETTINGS, read_only=True) as reader:
            owner.add(ALL[6:])
            assert (len(reader), len(owner)) == (6, 12)
            assert len(reader.search(query(), top_k=20)) == 6
            with pytest.raises(UserError, match="opened with read_only=True, hence not written"):
                reader.add(ALL)
        with Index.open(tmp_path / "i", read_only=True) as reader:
            assert answers(reader, query()) == answers(owner, query())


def test_a_reader_tries_again_when_parts_are_merged_under_it(tmp_path, monkeypatch):
    from modernbert.retrieval.index import index as module

    with Index.open(tmp_path / "i", SETTINGS, store="exact") as owner:
        for one in ALL[:3]:
            owner.add([one])
        real, turns = module.read_manifest, []

        def read_then_merge(folder):
            manifest = real(folder)
            if not turns:
                turns.append(owner.rebuild())
            return manifest

        monkeypatch.setattr(module, "read_manifest", read_then_merge)
        assert len(Index.open(tmp_path / "i", read_only=True)) == 3


def test_many_small_commits_are_merged_by_themselves(tmp_path):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        for number in range(140):
            index.add([record(number)])
        assert len(list((tmp_path / "i" / "parts").iterdir())) < 70
        assert len(index) == 140


def test_an_index_of_another_model_is_refused_with_the_way_out(tmp_path):
    Index.open(tmp_path / "i", SETTINGS, store="exact").close()
    other = replace(SETTINGS, model="large", model_hash="ffff")
    for read_only in (False, True):
        with pytest.raises(
            UserError, match=r"made with model hash small \(a1b2c3\), now it is large \(ffff\)"
        ) as error:
            Index.open(tmp_path / "i", other, store="exact", read_only=read_only)
        assert "index into another folder, or delete this one" in str(error.value)


def test_what_is_not_there_or_closed_is_said(tmp_path):
    for read_only in (False, True):
        with pytest.raises(UserError, match="found no index: make one with settings"):
            Index.open(tmp_path / "none", read_only=read_only)
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="found the store 'lance', expected 'edge', 'exact' or a Server"):
        Index.open(tmp_path / "i", SETTINGS, store="lance")
    index = Index.open(tmp_path / "i", SETTINGS, store="exact")
    index.close()
    index.close()
    with pytest.raises(UserError, match="it was closed: open the index again"):
        index.search(query())


def test_a_record_twice_in_a_batch_is_refused_and_nothing_is_written(tmp_path):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        with pytest.raises(UserError, match="record 'r1' comes twice in one batch"):
            index.add([record(1), record(2), record(1, seed=3)])
        assert len(index) == 0


def test_a_store_that_fails_leaves_the_batch_safe(tmp_path):
    index = Index.open(tmp_path / "i", SETTINGS, store="edge")
    index.add(ALL[:3])
    index._opened.store.close()
    with pytest.raises(UserError, match="this batch is safe, but the store could not take it"):
        index.add(ALL[3:])
    with pytest.raises(UserError, match="its store failed: open the index again"):
        index.add(ALL[3:])
    with Index.open(tmp_path / "i", SETTINGS, store="edge") as index:
        assert {hit.id for hit in index.search(query(), top_k=20)} == {one.id for one in ALL}


def test_an_index_that_grows_merges_parts_and_builds_graphs_once_at_the_end(tmp_path, monkeypatch):
    from modernbert.retrieval.index import index as module
    from modernbert.retrieval.index.edge import EdgeStore

    built = []
    flush = EdgeStore.flush
    monkeypatch.setattr(EdgeStore, "flush", lambda self, *, build: built.append(build) or flush(self, build=build))
    monkeypatch.setattr(module, "_MANY", 3)
    with Index.open(tmp_path / "i", SETTINGS, store="edge") as index:
        for one in ALL:
            index.add([one])
        assert len(built) >= 4
    assert built.count(True) == 1
    assert built[-1]
    with Index.open(tmp_path / "i", SETTINGS, store="edge") as index:
        assert index.commit == len(index) == len(ALL)


def test_a_store_that_fails_in_a_search_is_built_again(tmp_path, capsys):
    with Index.open(tmp_path / "i", SETTINGS, store="edge") as index:
        index.add(ALL)
        before = answers(index, query())
        index._opened.store.close()
        assert_same(answers(index, query()), before)
    assert "building the store again from the Parquet parts (it failed:" in capsys.readouterr().err


def test_a_store_that_lost_records_is_built_again(tmp_path, capsys):
    choice = store("server", tmp_path)
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        index.add(ALL)
        before = answers(index, query())
        index.flush()
        index._opened.store.remove(["r1", "r2"])
    with Index.open(tmp_path / "i", SETTINGS, store=choice) as index:
        assert answers(index, query()) == before
    assert "(it has 10 records of 12)" in capsys.readouterr().err


def test_a_store_that_never_holds_what_it_is_given_is_named_a_bug(tmp_path, monkeypatch):
    from modernbert.retrieval.index.exact import ExactStore

    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add(ALL)
    monkeypatch.setattr(ExactStore, "count", lambda self: 1)
    with pytest.raises(UserError, match="the store took 1 of 12 records: this is a bug"):
        Index.open(tmp_path / "i", store="exact")
