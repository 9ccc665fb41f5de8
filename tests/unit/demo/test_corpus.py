"""Where the demo's text comes from, how it is divided, and what is said when there is none."""

import json
import os
import sysconfig

import pytest

from modernbert.core.errors import UserError
from modernbert.demo import corpus
from modernbert.demo.corpus import Document, docstrings, from_path, functions, hold_out, standard_library


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of 120 good files and some to leave out."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    write(tmp_path, {f"m{n:03}.py": f"x = {n}\n" for n in range(118)})
    write(tmp_path, {"json/__init__.py": "import re\n", "json/decoder.py": "y = 'ü'\n"})
    write(tmp_path, {"latin.py": b"# na\xefve\n", "empty.py": "\n", "data.txt": "text", "_sysconfigdata_x.py": "a = 1"})
    for folder in ["site-packages/a", "test", "json/tests", "idlelib/idle_test", "encodings", "config-3.11", ".git"]:
        write(tmp_path, {f"{folder}/left_out.py": "z = 1\n"})
    return tmp_path


def test_the_library_comes_without_tests_tables_and_other_peoples_packages(library):
    documents = standard_library()
    assert len(documents) == 120
    names = [document.name for document in documents]
    assert names[:3] == ["json/__init__.py", "json/decoder.py", "m000.py"]
    assert names == sorted(names)
    assert documents[1].text == "y = 'ü'\n"


def test_a_reduced_python_is_refused_with_the_way_out(library):
    for n in range(30):
        (library / f"m{n:03}.py").unlink()
    with pytest.raises(UserError, match=r"found 90 files .* expected at least 100: .*; give a text .* --text PATH"):
        standard_library()


def test_this_pythons_own_library_is_real_text():
    documents = standard_library()
    texts = {document.name: document.text for document in documents}
    assert "class JSONDecoder" in texts["json/decoder.py"]
    assert all(text.strip() for text in texts.values())
    assert not any("/test/" in name or "/tests/" in name or "site-packages" in name for name in texts)
    assert sum(map(len, texts.values())) > 1_000_000


def test_a_file_is_one_document(tmp_path):
    write(tmp_path, {"book.text": "\ufeffOne\r\ntwo\n"})
    assert from_path(tmp_path / "book.text") == [Document(name="book.text", text="One\ntwo\n")]
    assert from_path(str(tmp_path / "book.text")) == from_path(tmp_path / "book.text")


def test_every_line_of_a_jsonl_file_is_a_document(tmp_path):
    rows = [json.dumps({"text": "one"}), "", json.dumps({"id": 7, "text": "two\u2028\n"}, ensure_ascii=False)]
    write(tmp_path, {"a.jsonl": "\n".join(rows) + '\n{"text": " "}\n'})
    assert from_path(tmp_path / "a.jsonl") == [
        Document(name="a.jsonl:1", text="one"),
        Document(name="a.jsonl:3", text="two\u2028\n"),
    ]


def test_a_folder_is_searched_for_text(tmp_path):
    write(tmp_path, {"z.md": "z", "b/c.txt": "c", "b/a.rst": "a", "a.py": "p", "blank.txt": " \n", "x.png": b"\xff"})
    write(tmp_path, {".hidden.md": "h", ".git/x.txt": "g", "l.jsonl": '{"text": "t"}\n' * 11})
    names = [document.name for document in from_path(tmp_path)]
    assert names == ["a.py", "b/a.rst", "b/c.txt", *(f"l.jsonl:{n}" for n in range(1, 12)), "z.md"]


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ({}, "nowhere", r"found nothing at .*nowhere: expected a text file, .*; check the spelling"),
        ({"x.png": b"1"}, "", r"found no text in the folder .*: expected files ending in \.py, \.md, \.txt"),
        ({"e.txt": " \n"}, "e.txt", r"e\.txt holds no text, only blank"),
        ({"e.txt": "", "f.md": ""}, "", r"holds no text, only blank"),
        ({"ok.txt": "x", "l.txt": b"na\xefve"}, "", r"l\.txt is not UTF-8 \(byte 0xef at 2\): convert it, .*iconv"),
        ({"u.txt": "hi".encode("utf-16")}, "u.txt", r"u\.txt is not UTF-8 \(byte 0xff at 0\)"),
        ({"a.jsonl": '{"text": "x"}\n{"text": \n'}, "", r"a\.jsonl, line 2 is not JSON \(.*\): expected one object"),
        ({"a.jsonl": '{"body": "x"}\n'}, "a.jsonl", r"a\.jsonl, line 1 has no 'text' that is a string"),
        ({"a.jsonl": "[1]\n"}, "a.jsonl", r"a\.jsonl, line 1 has no 'text' that is a string"),
        ({"a.jsonl": '{"text": "\\ud83d"}\n'}, "a.jsonl", r"a\.jsonl, line 1 holds half of a surrogate pair"),
    ],
    ids=["missing", "no text", "blank", "all blank", "Latin-1", "UTF-16", "not JSON", "no text key", "list", "half"],
)
def test_what_cannot_be_read_is_named(tmp_path, files, name, message):
    with pytest.raises(UserError, match=message):
        from_path(write(tmp_path, files) / name)


def test_a_link_to_nowhere_is_named(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"link\.txt cannot be read \(No such file .*\): check its permissions"):
        from_path(tmp_path)


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    write(tmp_path, {"a.txt": "a", "locked/b.txt": "b"})
    scandir = os.scandir

    def refuse(folder):  # permissions would not stop root
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"locked cannot be read \(Permission denied\): check its permissions"):
        from_path(tmp_path)


def named(*names):
    return [Document(name=name, text=f"text of {name}") for name in names]


def test_the_name_alone_decides_what_is_held_out():
    documents = named(*map(str, range(1000)))
    train, held_out = hold_out(documents)
    assert 20 <= len(held_out) <= 80
    assert sorted(train + held_out, key=documents.index) == documents
    assert train == [document for document in documents if document not in held_out]
    _, fewer = hold_out(documents[:500])
    assert fewer == [document for document in held_out if document in documents[:500]]
    _, more = hold_out(documents, share=0.3)
    assert set(held_out) < set(more)


def test_the_place_of_a_name_is_the_same_for_ever():
    assert [document.name for document in hold_out(named("a", "b", "c", "d"), share=0.5)[1]] == ["a", "c"]


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_each_side_gets_at_least_one(share):
    for names in ["ab", "abcde"]:
        assert all(hold_out(named(*names), share=share))


def test_the_same_text_is_never_on_both_sides():
    documents = [Document(name=str(n), text=f"text {n % 7}") for n in range(200)]
    train, held_out = hold_out(documents, share=0.3)
    assert sorted(train + held_out, key=lambda d: d.name) == documents[:7]


def test_a_single_document_is_cut_in_two():
    book = Document(name="book.txt", text="\n" + "".join(f"line {n}\n" for n in range(100)) + "\n\n")
    (start,), (end,) = hold_out([book, Document(name="copy", text=book.text)])
    assert (start.name, end.name) == ("book.txt", "book.txt (end)")
    assert start.text.endswith("line 94\n")
    assert end.text == "".join(f"line {n}\n" for n in range(95, 100)).strip()
    assert [part[0].text for part in hold_out([Document(name="short", text="a\nb")])] == ["a\n", "b"]


@pytest.mark.parametrize(
    ("documents", "share", "message"),
    [
        (named("a", "b"), 0.0, r"share is 0\.0, expected a number between 0 and 1"),
        (named("a", "b"), 1.0, r"share is 1\.0, expected a number between 0 and 1"),
        ([], 0.05, r"there is no document to hold out: expected two or more"),
        (named("a"), 0.05, r"found one text of one line \(a\), expected enough to learn from one part and test"),
    ],
)
def test_what_cannot_be_divided_is_refused(documents, share, message):
    with pytest.raises(UserError, match=message):
        hold_out(documents, share)


MODULE = '''"""Module."""
import re
\x0c
@decorated
def one(a):
    """Has a docstring."""
    b = re.compile("\\d")

    return b


def short():
    """Too short."""
    return 1


def undocumented(a):
    b = a
    c = b
    return c


class Outer:
    """Not a function."""

    class Inner:
        async def two(self):
            """Method of a class in a class."""

            def nested():
                """Part of two."""
                return 1


            return nested


if True:
    def three():
        """Defined under a condition.

        With a paragraph.
        """
'''


def test_functions_come_with_their_qualified_name_and_source():
    found = functions([Document(name="pack/age/__init__.py", text=MODULE)])
    assert [function.name for function in found] == ["pack.age.one", "pack.age.Outer.Inner.two", "pack.age.three"]
    assert found[0].source.startswith('def one(a):\n    """Has')
    assert found[0].source.endswith("    return b")
    assert found[1].source.splitlines()[:2] == [
        "async def two(self):",
        '    """Method of a class in a class."""',
    ]
    assert found[1].source.endswith("    return nested")


@pytest.mark.parametrize("num_lines", [4, 5, 40, 41])
def test_functions_have_5_to_40_lines(num_lines):
    source = 'def f():\n    """Doc."""\n' + "    x = 1\n" * (num_lines - 2)
    found = functions([Document(name="m.py", text=source)])
    assert [function.name for function in found] == (["m.f"] if 5 <= num_lines <= 40 else [])
    assert (corpus.FEWEST_LINES, corpus.MOST_LINES) == (5, 40)


def test_line_ends_of_any_system_are_understood():
    unix = functions([Document(name="m.py", text=MODULE)])
    assert functions([Document(name="m.py", text=MODULE.replace("\n", "\r\n"))]) == unix


def test_documents_which_are_not_python_are_passed_over():
    documents = [("a.py", "def f(:\n"), ("b.py", "x = '\0'"), ("c.md", MODULE), ("d.py", MODULE)]
    found = functions(Document(name=name, text=text) for name, text in documents)
    assert {function.name.split(".")[0] for function in found} == {"d"}


def test_this_pythons_own_library_has_functions_to_show():
    documents = [document for document in standard_library() if document.name.startswith("json/")]
    assert "json.decoder.JSONDecoder.raw_decode" in {function.name for function in functions(documents)}


def test_docstrings_are_those_that_say_something():
    source = '''"""A module with a docstring of just enough words."""

class One:
    """Seven words are not enough for it."""

    async def two(self):
        """A method's docstring,
        whose second line is indented like the code."""

def three():
    """Half of a surrogate pair \\udc80 in it is not text."""
'''
    documents = [
        Document(name="m.py", text=source),
        Document(name="m.txt", text=source),
        Document(name="n.py", text="("),
    ]
    assert docstrings(documents) == [
        "A module with a docstring of just enough words.",
        "A method's docstring,\nwhose second line is indented like the code.",
    ]
