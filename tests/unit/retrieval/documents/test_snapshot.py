import os
from dataclasses import replace
from time import time_ns

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.find import find_files
from modernbert.retrieval.documents.read import read
from modernbert.retrieval.documents.snapshot import GRAIN_NS, Seen, Snapshot, changes

LONG_AGO = 10**18


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "docs"
    root.mkdir()
    for name in ("a.md", "b.md", "c.md"):
        write(root / name, f"text of {name}")
    return root


def write(path, text, when=LONG_AGO):
    path.write_text(text)
    os.utime(path, ns=(when, when))


def snapshot_of(folder):
    snapshot = Snapshot(version="1")
    for file in find_files([folder]).files:
        reading = read(file)
        snapshot.files[file.id] = Seen(
            mtime_ns=reading.mtime_ns, size=reading.size, content=reading.content, read_ns=reading.read_ns,
            chunks=(f"chunk of {file.id}",),
        )  # fmt: skip
    return snapshot


def told(snapshot, folder, **options):
    found = changes(snapshot, find_files([folder]).files, **options)
    moved = [(old, file.id) for old, file in found.moved]
    return {
        "added": [file.id for file in found.added], "changed": [file.id for file in found.changed], "moved": moved,
        "removed": found.removed, "touched": list(found.touched), "same": len(found.same),
    }  # fmt: skip


NOTHING = {"added": [], "changed": [], "moved": [], "removed": [], "touched": [], "same": 0}


def test_what_did_not_change_is_not_opened(folder, monkeypatch):
    snapshot = snapshot_of(folder)
    monkeypatch.setattr("builtins.open", None)
    assert told(snapshot, folder) == NOTHING | {"same": 3}


def test_every_kind_of_change_is_told(folder):
    snapshot = snapshot_of(folder)
    write(folder / "a.md", "other text", LONG_AGO + 1)
    (folder / "b.md").rename(folder / "z.md")
    (folder / "c.md").unlink()
    write(folder / "new.md", "new")
    assert told(snapshot, folder) == NOTHING | {
        "added": ["docs/new.md"], "changed": ["docs/a.md"], "moved": [("docs/b.md", "docs/z.md")], "removed": ["docs/c.md"],
    }  # fmt: skip


def test_a_file_that_was_only_touched_is_the_same_and_not_asked_again(folder):
    snapshot = snapshot_of(folder)
    os.utime(folder / "a.md", ns=(LONG_AGO + 5, LONG_AGO + 5))
    found = changes(snapshot, find_files([folder]).files)
    assert list(found.touched) == ["docs/a.md"]
    assert found.touched["docs/a.md"].chunks == ("chunk of docs/a.md",)
    snapshot.files.update(found.touched)
    assert told(snapshot, folder) == NOTHING | {"same": 3}


def test_a_change_within_the_clocks_grain_is_seen(folder):
    """Same size, same time: written again right after it was read."""
    now = time_ns()
    write(folder / "a.md", "text of a.md", now)
    snapshot = snapshot_of(folder)
    write(folder / "a.md", "TEXT OF A.MD", now)
    assert told(snapshot, folder)["changed"] == ["docs/a.md"]


def test_a_time_in_the_future_is_never_trusted(folder):
    later = time_ns() + 10**13
    write(folder / "a.md", "text of a.md", later)
    snapshot = snapshot_of(folder)
    write(folder / "a.md", "TEXT OF A.MD", later)
    assert told(snapshot, folder)["changed"] == ["docs/a.md"]


def test_a_time_is_trusted_once_it_is_older_than_the_grain(folder):
    (file, *_) = find_files([folder]).files
    seen = Seen(mtime_ns=file.mtime_ns, size=file.size, content="x", read_ns=file.mtime_ns + GRAIN_NS + 1)
    assert seen.is_surely(file)
    assert not replace(seen, read_ns=file.mtime_ns + GRAIN_NS).is_surely(file)


def test_another_version_changes_every_file(folder):
    assert len(told(snapshot_of(folder), folder, version="2")["changed"]) == 3
    assert told(snapshot_of(folder), folder, version="1")["same"] == 3


def test_a_copy_is_added_and_not_moved(folder):
    snapshot = snapshot_of(folder)
    write(folder / "copy.md", "text of a.md")
    assert told(snapshot, folder) == NOTHING | {"added": ["docs/copy.md"], "same": 3}


def test_two_equal_files_move_to_two_places(tmp_path, folder):
    write(folder / "b.md", "text of a.md")
    snapshot = snapshot_of(folder)
    for name in ("a", "b"):
        (folder / f"{name}.md").rename(folder / f"moved-{name}.md")
    assert told(snapshot, folder)["moved"] == [("docs/a.md", "docs/moved-a.md"), ("docs/b.md", "docs/moved-b.md")]


def test_a_snapshot_is_read_back_as_saved(folder, tmp_path):
    snapshot = snapshot_of(folder)
    snapshot.save(tmp_path / "snapshot.json")
    assert Snapshot.load(tmp_path / "snapshot.json") == snapshot
    assert Snapshot.load(tmp_path / "none.json") == Snapshot()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", r"is damaged \(.*\): delete it, and all files are read anew"),
        ("[]", "is damaged"),
        ('{"format": 1, "version": "", "files": {"a": {"size": 3, "chunks": [], "perhaps": []}}}', "is damaged"),
        ('{"format": 99}', "found format 99, expected 1: delete it, and all files are read anew"),
    ],
)
def test_a_damaged_snapshot_is_said_with_the_way_out(tmp_path, content, sentence):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(UserError, match=sentence):
        Snapshot.load(tmp_path / "s.json")
