import os
import sys

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.find import Root, find_files


@pytest.fixture
def folder(tmp_path):
    """Of documents, with what goes wrong among them."""
    root = tmp_path / "papers"
    for name in (
        "a.md",
        "b.txt",
        "sub/c.html",
        "sub/deep/d.pdf",
        ".hidden.md",
        ".dir/e.md",
        "node_modules/f.md",
        "code.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "empty.md").touch()
    (root / "photo.jpg").write_bytes(b"\xff\xd8\0")
    return root


def ids(found):
    return [file.id for file in found.files]


def reasons(found):
    return {os.path.basename(skipped.path): skipped.reason for skipped in found.skipped}


def test_documents_come_in_one_order_with_the_root_in_their_ids(folder):
    found = find_files([folder])
    assert ids(found) == ["papers/a.md", "papers/b.txt", "papers/sub/c.html", "papers/sub/deep/d.pdf"]
    assert find_files([folder]) == found
    assert [file.kind for file in found.files] == ["markdown", "text", "html", "pdf"]


def test_everything_that_is_left_out_is_counted_by_reason(folder):
    found = find_files([folder])
    assert reasons(found) == {
        ".hidden.md": "hidden", ".dir": "hidden", "node_modules": "vendored", "code.py": "of another kind",
        "empty.md": "empty", "photo.jpg": "of another kind",
    }  # fmt: skip
    assert found.report() == ("found 4 files (0.0 MB); left out 6: 2 hidden, 2 of another kind, 1 empty, 1 vendored")


def test_a_repository_gives_code_and_notes(folder):
    (folder / "vendor").mkdir()
    (folder / "vendor" / "theirs.py").write_text("x")
    (folder / "app.min.js").write_text("x")
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").write_text("x")
    found = find_files([folder], code=True)
    assert ids(found) == ["papers/a.md", "papers/b.txt", "papers/code.py"]
    assert found.files[-1].language == "python"
    told = reasons(found)
    assert (told["vendor"], told["app.min.js"], told["env"]) == ("vendored", "generated", "vendored")
    assert "papers/vendor/a.md" in ids(find_files([_with(folder, "vendor/a.md")]))  # of documents, it may be anything


def test_ignore_files_count_at_every_level_and_ours_is_stronger(folder):
    _with(folder, "sub/keep.md", "sub/keep.txt", "drop.md")
    (folder / ".gitignore").write_text("*.txt\ndrop.md\n")
    (folder / "sub" / ".gitignore").write_text("!keep.txt\n")
    (folder / ".modernbertignore").write_text("!drop.md\n/sub/deep/\n")
    assert ids(find_files([folder])) == ["papers/a.md", "papers/drop.md"] + [
        f"papers/sub/{name}" for name in ("c.html", "keep.md", "keep.txt")
    ]
    assert ids(find_files([folder], ignore=["*.md", "*.html"])) == ["papers/sub/keep.txt"]


def test_a_folder_within_a_repository_obeys_the_repository(folder):
    (folder / ".git" / "info").mkdir(parents=True)
    (folder / ".git" / "info" / "exclude").write_text("deep/\n")
    (folder / ".gitignore").write_text("/sub/c.html\n/local/\n")
    assert ids(find_files([folder / "sub"])) == []
    assert ids(find_files([_with(folder, "local/a.md") / "local"])) == ["local/a.md"]  # asked for by its name


def test_several_repositories_have_different_names(tmp_path):
    _with(tmp_path, "one/src/a.md", "two/src/a.md", "three/a.md")
    found = find_files([tmp_path / "one" / "src", tmp_path / "two" / "src", tmp_path / "three"])
    assert ids(found) == ["one/src/a.md", "two/src/a.md", "three/a.md"]
    named = find_files([Root(path=tmp_path / "one" / "src", name="mine"), tmp_path / "two" / "src"])
    assert ids(named) == ["mine/a.md", "src/a.md"]


def test_two_folders_of_one_name_are_refused(tmp_path):
    _with(tmp_path, "one/a.md", "two/a.md")
    with pytest.raises(
        UserError, match=r"the name 'x' is taken by .*one, expected one name for each folder: name this"
    ):
        find_files([Root(path=tmp_path / "one", name="x"), Root(path=tmp_path / "two", name="x")])


def test_a_file_that_is_named_is_taken_whatever_is_ignored(folder):
    (folder / ".gitignore").write_text("*\n")
    (folder / "notes").write_text("x")
    assert ids(find_files([folder / ".hidden.md", folder / "notes", folder / "code.py"])) == [
        ".hidden.md", "notes", "code.py",
    ]  # fmt: skip


def test_no_file_is_found_twice(folder):
    assert len(ids(find_files([folder, folder / "sub", folder / "a.md"]))) == 4


def test_a_path_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match="nothing: there is no such file or folder: check the path"):
        find_files([tmp_path / "nothing"])


def test_a_pattern_that_cannot_be_read_is_said(folder):
    with pytest.raises(UserError, match=r"ignore: found a pattern git would not read \(.*\): correct it"):
        find_files([folder], ignore=["!"])


def test_links_are_left_out_or_followed_once(folder):
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "again.md").symlink_to(folder / "a.md")
    (folder / "dangling.md").symlink_to(folder / "nowhere")
    assert reasons(find_files([folder]))["loop"] == "links"
    found = find_files([folder], follow_links=True)
    assert ids(found) == ["papers/a.md", "papers/b.txt", "papers/sub/c.html", "papers/sub/deep/d.pdf"]
    told = reasons(found)
    assert (told["loop"], told["again.md"]) == ("met before under another name",) * 2
    assert told["dangling.md"] == "gone while looking"


def test_a_large_file_is_left_out(folder):
    (folder / "a.md").write_text("x" * 100)
    assert reasons(find_files([folder], largest=99))["a.md"] == "too large"
    assert "papers/a.md" in ids(find_files([folder], largest=100))


def test_a_pipe_is_never_opened(folder):
    os.mkfifo(folder / "pipe.md")
    assert reasons(find_files([folder]))["pipe.md"] == "neither file nor folder"


def test_what_vanishes_while_looking_is_counted(folder, monkeypatch):
    real = os.stat

    def stat(path, *rest, **more):
        if path == str(folder / "a.md"):
            os.replace(path, folder / "elsewhere")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "stat", stat)
    assert reasons(find_files([folder]))["a.md"] == "gone while looking"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is root's to read")
def test_what_is_not_ours_is_counted(folder):
    (folder / "a.md").chmod(0)
    (folder / "sub").chmod(0)
    told = reasons(find_files([folder]))
    (folder / "sub").chmod(0o700)
    assert (told["a.md"], told["sub"]) == ("not ours to read", "not ours to read")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_a_name_that_is_no_text_is_counted(folder):
    with open(os.fsencode(folder) + b"/\xff.md", "w") as file:
        file.write("x")
    assert "of a name that is not UTF-8" in reasons(find_files([folder])).values()


def test_folders_deeper_than_calls_are_walked(tmp_path):
    deep = os.path.join(str(tmp_path), *["x"] * 1010)
    _make_deep(tmp_path, 1010)
    assert find_files([_with(tmp_path, "a.md")]).report().startswith("found 1 files")
    os.removedirs(deep)  # pytest's own cleaning calls itself too often


def _with(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def _make_deep(root, depth):
    """Folder by folder: os.makedirs calls itself."""
    path = str(root)
    for _ in range(depth):
        path = os.path.join(path, "x")
        os.mkdir(path)
