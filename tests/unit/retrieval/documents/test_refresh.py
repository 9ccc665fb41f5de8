import builtins
import os

import pytest

from modernbert.retrieval.documents.chunk import Chunking
from modernbert.retrieval.documents.find import find_files
from modernbert.retrieval.documents.refresh import Refresh
from modernbert.retrieval.documents.snapshot import Snapshot

LONG_AGO = 10**18


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "docs"
    root.mkdir()
    for name in ("a.md", "b.md"):
        write(root / name, "".join(f"# Part {n} of {name}\n\n{'Some words. ' * 9}\n\n" for n in range(3)))
    return root


def write(path, text, when=LONG_AGO):
    path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)
    os.utime(path, ns=(when, when))


def run(snapshot, folder, index, **options):
    """All steps into a dictionary that plays the index; returns the refresh and the ids that needed an encoder."""
    refresh = Refresh(snapshot, find_files([folder]), Chunking(size=150, small=0), **options)
    encoded = []
    for step in refresh:
        for id_ in step.gone:
            del index[id_]
        refresh.begin(step)
        assert step.new == {one.id for one in step.chunks} - index.keys()
        encoded += sorted(step.new)
        index |= {one.id: one for one in step.chunks}
        refresh.done(step)
    return refresh, encoded


def test_the_first_time_everything_is_new(folder):
    index, snapshot = {}, Snapshot()
    refresh, encoded = run(snapshot, folder, index)
    assert len(encoded) == len(index) == 6
    assert refresh.report() == "2 files: 2 added, 0 changed, 0 moved, 0 removed, 0 as they were"
    assert snapshot.version == refresh.version


def test_only_what_changed_is_read_and_only_its_new_chunks_are_encoded(folder, monkeypatch):
    index, snapshot = {}, Snapshot()
    run(snapshot, folder, index)
    text = (folder / "a.md").read_text()
    write(folder / "a.md", text.replace("# Part 1", "New line.\n\n# Part 1"), LONG_AGO + 1)
    opened, real = [], builtins.open
    monkeypatch.setattr(builtins, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more))
    _, encoded = run(snapshot, folder, index)
    assert {os.path.basename(path) for path in opened} == {"a.md"}
    assert len(encoded) == 1
    assert sorted(one.first_line for one in index.values() if one.document == "docs/a.md") == [1, 7, 11]


def test_what_is_gone_leaves_the_index(folder):
    index, snapshot = {}, Snapshot()
    run(snapshot, folder, index)
    (folder / "a.md").unlink()
    (folder / "b.md").rename(folder / "c.md")
    refresh, _ = run(snapshot, folder, index)
    assert {one.document for one in index.values()} == {"docs/c.md"}
    assert list(snapshot.files) == ["docs/c.md"]
    assert "0 added, 0 changed, 1 moved, 1 removed" in refresh.report()


def test_another_way_of_cutting_reads_all_anew_even_after_a_crash(folder):
    snapshot = Snapshot()
    run(snapshot, folder, {})
    before = snapshot.version
    refresh = Refresh(snapshot, find_files([folder]), Chunking(size=50))
    first, second = refresh
    refresh.done(first)
    assert snapshot.version == before  # a crash here: both come again
    assert len(list(Refresh(snapshot, find_files([folder]), Chunking(size=50)))) == 2
    refresh.done(second)
    assert snapshot.version == refresh.version
    assert list(Refresh(snapshot, find_files([folder]), Chunking(size=50))) == []


def test_what_cannot_be_read_is_told_each_time_but_read_once(folder, monkeypatch):
    index, snapshot = {}, Snapshot()
    write(folder / "a.md", b"\0\0")
    refresh, _ = run(snapshot, folder, index)
    assert refresh.faults == [f"{folder}/a.md: holds NUL bytes, expected text: it is binary"]
    assert refresh.report().endswith("; left out 1: 1 binary")
    monkeypatch.setattr(builtins, "open", None)
    refresh, encoded = run(snapshot, folder, index)
    assert refresh.report().endswith("2 as they were; left out 1: 1 binary")
    assert encoded == []


def test_a_file_that_vanishes_between_looking_and_reading_is_told(folder):
    index, snapshot = {}, Snapshot()
    refresh = Refresh(snapshot, find_files([folder]))
    (folder / "a.md").unlink()
    for step in refresh:
        refresh.done(step)
    assert list(snapshot.files) == ["docs/b.md"]
    assert refresh.report().endswith("; left out 1: 1 gone while looking")
    assert index == {}


def test_a_step_that_was_not_done_comes_again(folder):
    snapshot = Snapshot()
    first = [step.id for step in Refresh(snapshot, find_files([folder]))]
    assert first == [step.id for step in Refresh(snapshot, find_files([folder]))] == ["docs/a.md", "docs/b.md"]


def test_faults_within_a_file_are_kept(folder):
    write(folder / "c.jsonl", '{"text": "x"}\noops\n')
    refresh, _ = run(Snapshot(), folder, {})
    assert "c.jsonl, line 2: is no JSON" in refresh.faults[0]


def test_what_a_stopped_step_added_is_deleted_if_the_file_has_changed_since(folder, tmp_path):
    """Stopped after the index took the step, before it was done; then the file is written anew."""
    snapshot, index = Snapshot(), {}
    refresh = Refresh(snapshot, find_files([folder]))
    step = next(iter(refresh))
    refresh.begin(step)
    snapshot.save(tmp_path / "s.json")
    index |= {one.id: one for one in step.chunks}
    write(folder / "a.md", "Other words.\n", LONG_AGO + 1)
    snapshot = Snapshot.load(tmp_path / "s.json")
    run(snapshot, folder, index)
    assert {one.text for one in index.values() if one.document == "docs/a.md"} == {"Other words.\n"}


def test_what_a_stopped_step_deleted_is_added_if_the_file_is_as_before(folder):
    """Stopped after the index let go of a chunk; then the old content comes back."""
    snapshot, index = Snapshot(), {}
    run(snapshot, folder, index)
    old = (folder / "a.md").read_text()
    write(folder / "a.md", "Other words.\n", LONG_AGO + 1)
    refresh = Refresh(snapshot, find_files([folder]), Chunking(size=150, small=0))
    (step,) = refresh
    refresh.begin(step)
    for id_ in step.gone:
        del index[id_]
    write(folder / "a.md", old, LONG_AGO + 2)
    (step,) = Refresh(snapshot, find_files([folder]), Chunking(size=150, small=0))
    assert step.new == {one.id for one in step.chunks}
