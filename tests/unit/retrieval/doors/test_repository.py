import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.doors.repository import Repository, folders_of
from modernbert.retrieval.search.choices import FOLDER
from support.shelf import put, shelf


@pytest.fixture
def home(tmp_path):
    return shelf(tmp_path)


def test_a_second_one_sees_the_last_commit_and_says_so_and_takes_over_when_the_first_is_gone(home):
    folder = home / "notes" / FOLDER
    with Repository("notes", folder) as first, Repository("notes", folder) as second:
        assert "read-only" not in first.describe()
        assert "; read-only, as of the last commit; it is in use by process " in second.describe()
        put(home / "notes" / "gull.txt", "Every gull described the fog.\n")
        assert second.renew().startswith("notes: read-only, as of the last commit; it is in use by process ")
        assert "1 added" in first.renew()
        assert not any(one.path.endswith("gull.txt") for one in second.searcher.search("gull"))
        before = second.searcher
        second.renew()
        assert second.searcher.search("gull", mode="lexical")[0].path.endswith("gull.txt")
        renewed = second.searcher
        assert renewed is not before
        second.renew()
        assert second.searcher is renewed, "nothing was committed since"
        first.close()
        assert second.renew().startswith("notes: 4 files: 0 added")
        assert "read-only" not in second.describe()


def test_folders_are_named_by_what_they_index(home, monkeypatch):
    folders = folders_of([home / "notes", home / "code" / FOLDER])
    assert folders == {"notes": home / "notes" / FOLDER, "code": home / "code" / FOLDER}
    monkeypatch.chdir(home / "notes")
    assert folders_of([]) == {"notes": home / "notes" / FOLDER}


def test_folders_that_cannot_be_meant_are_refused(home):
    with pytest.raises(
        UserError, match="found no index: make one with  modernbert index PATH, or check the folder's name"
    ):
        folders_of([home])
    with pytest.raises(UserError, match="found twice, expected every index once: name it once"):
        folders_of([home / "notes", home / "notes" / FOLDER])
