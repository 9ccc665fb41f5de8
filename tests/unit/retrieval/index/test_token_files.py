"""Vectors of tokens in files: found again, cut where a row is half written, written anew when most are dead."""

import numpy as np
import pytest

from modernbert.retrieval.index import token_files
from modernbert.retrieval.index.edge import EdgeStore
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.token_files import TokenFiles
from support.records import SETTINGS, answers, assert_same, query, record


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float16)


@pytest.fixture
def wears_soon(monkeypatch):
    monkeypatch.setattr(token_files, "_FEW", 0)


def test_what_was_appended_is_read_in_any_order_and_by_the_next_owner(tmp_path):
    files = TokenFiles(tmp_path / "t", 3)
    one, two = files.append([rows(4), rows(1, 1)])
    (three,) = files.append([rows(2, 2)])
    expected = np.concatenate([rows(2, 2), rows(4), rows(1, 1)])
    np.testing.assert_array_equal(files.read([three, one, two]), expected)
    files.flush()
    np.testing.assert_array_equal(TokenFiles(tmp_path / "t", 3).read([three, one, two]), expected)


def test_half_a_row_of_an_owner_that_was_killed_is_cut_off(tmp_path):
    files = TokenFiles(tmp_path / "t", 3)
    (one,) = files.append([rows(4)])
    (path,) = files.flush()
    path.write_bytes(path.read_bytes() + b"half")
    np.testing.assert_array_equal(files.read([one]), rows(4))  # a reader takes whole rows
    again = TokenFiles(tmp_path / "t", 3)
    (two,) = again.append([rows(2, 1)])
    np.testing.assert_array_equal(again.read([one, two]), np.concatenate([rows(4), rows(2, 1)]))


def test_a_file_that_ends_early_is_noticed(tmp_path):
    files = TokenFiles(tmp_path / "t", 3)
    (one,) = files.append([rows(4)])
    (path,) = files.flush()
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ValueError, match="has 3 rows, expected 4"):
        files.read([one])


def sizes(index: Index) -> dict[str, int]:
    assert isinstance(index._opened.store, EdgeStore)
    return {path.name: path.stat().st_size for path in sorted((index._opened.store.folder / "tokens").glob("*.f16"))}


def test_files_that_are_mostly_dead_are_written_again_and_go_with_the_next_flush(tmp_path, wears_soon):
    with Index.open(tmp_path / "i", SETTINGS) as index:
        index.add([record(number) for number in range(10)])
        index.flush()
        assert list(sizes(index)) == ["000000.f16"]
        for seed in (1, 2):
            index.update([record(number, seed=seed) for number in range(10)])
        index.delete(["r3"])
        expected = answers(index, query())
        index.flush()
        assert list(sizes(index)) == ["000000.f16", "000001.f16"]
        assert_same(answers(index, query()), expected)
        index.add([record(20, has_tokens=False)])
        index.flush()
        assert list(sizes(index)) == ["000001.f16"]
        index.delete(["r20"])
    with Index.open(tmp_path / "i") as index, Index.open(tmp_path / "i", read_only=True) as twin:
        assert_same(answers(index, query()), expected)
        assert_same(answers(twin, query()), expected)
        assert sum(sizes(index).values()) == sum(
            record_.tokens.size * 2 for record_ in index.get(list(index.ids())) if record_.tokens is not None
        )


def test_who_is_killed_while_writing_again_loses_nothing(tmp_path, wears_soon, monkeypatch):
    with Index.open(tmp_path / "i", SETTINGS) as index:
        index.add([record(number) for number in range(10)])
        for seed in (1, 2):
            index.update([record(number, seed=seed) for number in range(10)])
        expected = answers(index, query())
        shard, done = index._opened.store._shard, []

        class Dying:
            def __getattr__(self, name):
                return getattr(shard, name)

            def update(self, operation):
                if len(done) == 4:
                    raise KeyboardInterrupt
                done.append(shard.update(operation))

        index._opened.store._shard = Dying()
        with pytest.raises(KeyboardInterrupt):
            index.flush()
        index._opened.store._shard = shard
        assert_same(answers(index, query()), expected)
        index._is_dirty = False  # nothing is saved at the end
    with Index.open(tmp_path / "i") as index:
        assert_same(answers(index, query()), expected)
        index.flush()
        assert_same(answers(index, query()), expected)
