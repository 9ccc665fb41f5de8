import os

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.doors.reading import paths_in, read_lines
from modernbert.retrieval.search.choices import FOLDER
from modernbert.retrieval.searcher import Searcher
from support.shelf import put, shelf


@pytest.fixture
def home(tmp_path):
    put(tmp_path / "secret.txt", "Not for you.\n")
    put(tmp_path / "notes-of-others" / "bell.txt", "Not for you.\n")
    return shelf(tmp_path)


@pytest.fixture
def notes(home):
    with Searcher.open(home / "notes" / FOLDER, read_only=True) as searcher:
        yield searcher


def test_a_file_is_named_in_full_or_from_its_root(home, notes):
    whole = str(home / "notes" / "bell.txt")
    assert paths_in(notes, whole) == paths_in(notes, "notes/bell.txt") == paths_in(notes, "bell.txt") == [whole]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../secret.txt", "notes/../secret.txt", "{home}/secret.txt", "{home}/notes/../secret.txt", "", ".", "/",
        "{home}/notes", "{home}/notes/./bell.txt", "{home}/notes-of-others/bell.txt", "{home}/notes/.modernbert-index/settings.json",
        ".modernbert-index/settings.json", "bell.txt\0", "BELL.TXT",
    ],
)  # fmt: skip
def test_nothing_else_can_be_named(home, notes, path):
    assert paths_in(notes, path.format(home=home)) == []


def test_a_file_that_became_a_link_is_not_read(home):
    path = home / "notes" / "bell.txt"
    path.unlink()
    path.symlink_to(home / "secret.txt")
    with pytest.raises(UserError, match="leads somewhere else since it was indexed, hence not read: refresh the index"):
        read_lines(str(path), 1, 9, room=100)


def test_so_does_a_folder_above_it(home):
    os.rename(home / "notes", home / "other")
    (home / "notes").symlink_to(home / "other")
    with pytest.raises(UserError, match="leads somewhere else"):
        read_lines(str(home / "notes" / "bell.txt"), 1, 9, room=100)


def test_lines_are_those_of_the_file_as_far_as_there_is_room(home):
    path = str(home / "notes" / "bell.txt")
    both = read_lines(path, 1, 10**9, room=100)
    assert (both.lines, both.num_lines) == (("In winter", "nobody heard the bell."), 2)
    assert read_lines(path, 2, 2, room=100).lines == ("nobody heard the bell.",)
    assert read_lines(path, 1, 2, room=12).lines == ("In winter",)
    assert read_lines(path, 1, 2, room=1).lines == ("In winter",)
    assert read_lines(str(home / "notes" / "said.jsonl"), 2, 2, room=100).lines == (
        '{"text": "Fog lay on the harbour."}',
    )


@pytest.mark.parametrize(("first", "last"), [(3, 9), (2, 1)])
def test_lines_that_are_not_there_are_refused(home, first, last):
    with pytest.raises(UserError, match=f"has 2 lines: found lines {first}-{last}, expected some of these"):
        read_lines(str(home / "notes" / "bell.txt"), first, last, room=100)
