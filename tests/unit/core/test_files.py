"""Nothing half-written under a good name: crashes are injected, and the folder is looked at afterwards."""

import hashlib
import os
import stat

import pytest

from modernbert.core import files
from modernbert.core.files import atomic_folder, content_hash, write_atomically


class PowerCutError(Exception):
    """What the tests throw; nobody catches it by accident."""


def fail(*_args, **_kwargs):
    raise PowerCutError


def tree(folder):
    """Everything below a folder, hidden files included."""
    return {
        inside.relative_to(folder).as_posix(): inside.read_text() for inside in folder.rglob("*") if inside.is_file()
    }


# Files


def test_bytes_and_text_arrive_with_their_parents(tmp_path):
    with write_atomically(tmp_path / "a" / "b" / "bytes") as file:
        file.write(b"\x00\r\n")
    with write_atomically(str(tmp_path / "text"), "w") as file:
        file.write("ü\n")
    assert (tmp_path / "a" / "b" / "bytes").read_bytes() == b"\x00\r\n"
    assert (tmp_path / "text").read_bytes() == "ü\n".encode()
    assert sorted(os.listdir(tmp_path)) == ["a", "text"]


def test_the_old_file_stays_until_the_block_ends(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with write_atomically(target, "w") as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"
        assert len(os.listdir(tmp_path)) == 2, "the unfinished file is in the same folder"
    assert tree(tmp_path) == {"file": "new"}


@pytest.mark.parametrize("error", [PowerCutError, KeyboardInterrupt, SystemExit])
def test_a_crash_in_the_block_leaves_the_old_file_alone(error, tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(error), write_atomically(target, "w") as file:  # noqa: PT012
        file.write("half of the n")
        raise error
    assert tree(tmp_path) == {"file": "old"}


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_crash_of_the_system_call_leaves_the_old_file_alone(broken, tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_text("old")
    monkeypatch.setattr(files.os, broken, fail)
    with pytest.raises(PowerCutError), write_atomically(target, "w") as file:
        file.write("new")
    assert tree(tmp_path) == {"file": "old"}


def test_a_crash_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(PowerCutError), write_atomically(tmp_path / "file") as file:
        fail(file.write(b"half"))
    assert tree(tmp_path) == {}


def test_a_new_file_has_usual_permissions_and_an_old_one_keeps_its_own(tmp_path):
    (tmp_path / "plain").touch()
    with write_atomically(tmp_path / "new"):
        pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    (tmp_path / "new").chmod(0o600)
    with write_atomically(tmp_path / "new"):
        pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_writing_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    with write_atomically(tmp_path / "link", "w") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path):
    target = tmp_path / ("x" * 255)
    with write_atomically(target, "w") as file:
        file.write("new")
    assert target.read_text() == "new"


# Folders


def fill(folder, word):
    (folder / "sub").mkdir()
    (folder / "sub" / "weights").write_text(word)
    (folder / f"{word}.txt").write_text(word)


@pytest.fixture
def old(tmp_path):
    """A finished folder, which the tests try to replace."""
    with atomic_folder(tmp_path / "runs" / "step-1") as folder:
        fill(folder, "old")
    return tmp_path / "runs" / "step-1"


def test_a_folder_appears_as_a_whole(tmp_path):
    with atomic_folder(tmp_path / "runs" / "step-1") as folder:
        fill(folder, "new")
        assert not (tmp_path / "runs" / "step-1").exists()
        assert folder.parent == tmp_path / "runs", "a rename must stay on one disk"
    assert tree(tmp_path) == {"runs/step-1/sub/weights": "new", "runs/step-1/new.txt": "new"}


def test_a_folder_is_replaced_as_a_whole(old):
    with atomic_folder(old) as folder:
        fill(folder, "new")
        assert "old.txt" in tree(old)
    assert tree(old.parent) == {"step-1/sub/weights": "new", "step-1/new.txt": "new"}
    assert os.listdir(old.parent) == ["step-1"]


def test_a_crash_while_filling_leaves_the_old_folder_alone(old):
    before = tree(old.parent)
    with pytest.raises(PowerCutError), atomic_folder(old) as folder:
        fail(fill(folder, "new"))
    assert tree(old.parent) == before


@pytest.mark.parametrize("which", [1, 2], ids=["old aside", "new in"])
def test_a_crash_in_either_rename_leaves_the_old_folder_in_place(which, old, monkeypatch):
    before, rename, calls = tree(old.parent), os.rename, []

    def fragile(source, target):
        calls.append(source)
        return fail() if len(calls) == which else rename(source, target)

    monkeypatch.setattr(files.os, "rename", fragile)
    with pytest.raises(PowerCutError), atomic_folder(old) as folder:
        fill(folder, "new")
    assert tree(old.parent) == before
    assert os.listdir(old.parent) == ["step-1"]


def test_a_disk_that_does_not_sync_leaves_the_old_folder_in_place(old, monkeypatch):
    before = tree(old.parent)
    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(PowerCutError), atomic_folder(old) as folder:
        fill(folder, "new")
    assert tree(old.parent) == before


def test_every_file_is_synced_before_the_rename(tmp_path, monkeypatch):
    events = []
    rename = os.rename
    monkeypatch.setattr(files, "_sync", lambda path: events.append(path.name))
    monkeypatch.setattr(files.os, "rename", lambda *names: events.append("rename") or rename(*names))
    with atomic_folder(tmp_path / "step-1") as folder:
        fill(folder, "new")
    assert {"weights", "new.txt", "sub"} <= set(events[: events.index("rename")])
    assert events[-1] == tmp_path.name, "the rename itself must reach the disk too"


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(NotADirectoryError) as caught, atomic_folder(tmp_path / "file"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'file'}: found a file, expected a folder or nothing; move it away or choose another name"
    )
    assert tree(tmp_path) == {"file": "precious"}


# Fingerprints


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert content_hash(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def build(folder, files_):
    for name, text in files_.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return content_hash(folder)


def test_the_hash_of_a_folder_is_that_of_its_names_and_hashes(tmp_path):
    one, two = hashlib.sha256(b"1").digest(), hashlib.sha256(b"2").digest()
    assert build(tmp_path, {"b": "2", "a/z": "1"}) == hashlib.sha256(b"3:a/z:" + one + b"1:b:" + two).hexdigest()


def test_the_hash_of_a_folder_ignores_order_times_and_empty_folders(tmp_path):
    one = build(tmp_path / "one", {"a": "1", "b/c": "2", "b.d": "3"})
    (tmp_path / "two" / "empty").mkdir(parents=True)
    assert build(tmp_path / "two", {"b.d": "3", "b/c": "2", "a": "1"}) == one
    os.utime(tmp_path / "two" / "a", (0, 0))
    assert content_hash(str(tmp_path / "two")) == one


@pytest.mark.parametrize("other", [{"a": "2"}, {"b": "1"}, {"a": "1", "b": ""}, {"x/a": "1"}, {}], ids=str)
def test_the_hash_of_a_folder_sees_contents_and_names(other, tmp_path):
    (tmp_path / "two").mkdir()
    assert build(tmp_path / "one", {"a": "1"}) != build(tmp_path / "two", other)


def test_a_linked_file_counts_as_the_file(tmp_path):
    one = build(tmp_path / "one", {"a": "1"})
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").symlink_to(tmp_path / "one" / "a")
    assert content_hash(tmp_path / "two") == one


def test_what_is_not_there_has_no_hash(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        content_hash(tmp_path / "gone")
    (tmp_path / "dangling").symlink_to("gone")
    with pytest.raises(FileNotFoundError, match="dangling"):
        content_hash(tmp_path)
