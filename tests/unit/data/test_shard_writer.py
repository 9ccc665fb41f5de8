"""All or nothing, and what is said about ids and folders that cannot be; the reading is in test_shards.py."""

import errno

import pytest

from modernbert.core.errors import UserError
from modernbert.data.shard_writer import ShardWriter, write_shards
from modernbert.data.shards import Shards
from support.texts import small_tokenizer


def written(folder, documents, **settings):
    with write_shards(folder, small_tokenizer(), **settings) as writer:
        for ids in documents:
            writer.append(ids)
    return folder


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    Shards.open(written(tmp_path / "out", [[1]])).verify()


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    folder = written(tmp_path / "made", [[1]])
    with pytest.raises(UserError, match=r"made is there already: choose another name"):
        written(folder, [[2]])
    assert Shards.open(folder).tokens(0).tolist() == [1]


def test_a_crash_leaves_nothing(tmp_path):
    def documents():
        yield [1, 2]
        raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        written(tmp_path / "out", documents())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "finish", full)
    with pytest.raises(UserError, match=r"out cannot be written \(.*No space left.*nothing was left behind; make room"):
        written(tmp_path / "out", [[1]])
    assert list(tmp_path.iterdir()) == []


def test_no_document_is_no_folder(tmp_path):
    with pytest.raises(UserError, match=r"there is no document to write, so nothing was written"):
        written(tmp_path / "out", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], r"a document without tokens: leave it out"),
        ([3, 448], r"ids from 3 to 448, expected 0 to 447"),
        ([-1], r"ids from -1 to -1"),
    ],
)
def test_ids_that_cannot_be_are_refused(tmp_path, ids, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path / "out", [ids])


def test_a_shard_holds_a_token_at_least(tmp_path):
    with pytest.raises(UserError, match="shard_tokens is 0, expected 1 or more"):
        written(tmp_path / "out", [[1]], shard_tokens=0)
