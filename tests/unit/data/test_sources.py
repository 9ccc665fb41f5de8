"""Every format, every compression, and what is said about each thing that can be wrong with a file."""

import bz2
import gzip
import io
import json
import lzma
import os
import sys
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fsspec.spec import AbstractBufferedFile

from modernbert.core import log
from modernbert.core.errors import MissingExtraError, UserError
from modernbert.data import _lines
from modernbert.data.sources import Document, read_documents

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}
TEXTS = ["one", "zwei\nLinien", "三"]


def jsonl(texts, **more):
    return "".join(json.dumps({"text": text, **more}, ensure_ascii=False) + "\n" for text in texts).encode()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def texts_of(*paths, **options):
    return [document.text for document in read_documents([str(path) for path in paths], **options)]


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(log, "_warned", set())
    monkeypatch.setattr(log, "_write", found.append)
    return found


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json"])
def test_json_lines_give_text_id_and_place(tmp_path, suffix):
    path = write(
        tmp_path / f"a{suffix}", b'{"text": "one", "id": "x"}\n\n{"text": "two", "id": 7}\r\n{"text": "three"}'
    )
    assert list(read_documents([path])) == [
        Document("x", "one", path),
        Document("7", "two", path),
        Document(f"{path}:4", "three", path),
    ]


@pytest.mark.parametrize("name", ["null", "true", '""', "[1]", "1.5"])
def test_an_id_that_names_nothing_gives_way_to_the_place(tmp_path, name):
    path = write(tmp_path / "a.jsonl", f'{{"text": "one", "id": {name}}}'.encode())
    assert next(read_documents([path])).id == f"{path}:1"


@pytest.mark.parametrize("pack", PACK)
def test_packed_files_read_as_unpacked_ones(tmp_path, pack):
    texts = [f"{i} " * 50 for i in range(2000)]
    assert texts_of(write(tmp_path / f"a.jsonl{pack}", PACK[pack](jsonl(texts)))) == texts


@pytest.mark.parametrize("pack", PACK)
def test_packed_files_one_after_the_other_in_one_file_are_all_read(tmp_path, pack):
    parts = [PACK[pack](jsonl([text])) for text in TEXTS]
    assert texts_of(write(tmp_path / f"a.jsonl{pack}", b"".join(parts))) == TEXTS


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_a_packed_file_that_breaks_off_is_refused(tmp_path, pack, kept):
    rows = jsonl(os.urandom(64).hex() for _ in range(2000))
    packed = PACK[pack](rows)
    path = write(tmp_path / f"a.jsonl{pack}", packed[: int(len(packed) * kept)])
    with pytest.raises(
        UserError, match=r"a\.jsonl.*, after line \d+: the file breaks off or is damaged .*: get it anew"
    ):
        texts_of(path)


@pytest.mark.parametrize("pack", PACK)
def test_a_file_that_is_not_packed_as_its_name_says_is_refused(tmp_path, pack):
    with pytest.raises(UserError, match="after line 0: the file breaks off or is damaged"):
        texts_of(write(tmp_path / f"a.jsonl{pack}", b"not packed at all"))


@pytest.mark.parametrize("string", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_gives_its_rows(tmp_path, string):
    texts = [f"text {i}" for i in range(1000)]
    table = pa.table({"body": pa.array(texts, pa.string()).cast(string), "id": list(range(1000)), "more": [1.0] * 1000})
    pq.write_table(table, path := str(tmp_path / "a.parquet"), row_group_size=300)
    documents = list(read_documents([path], text_field="body"))
    assert [document.text for document in documents] == texts
    assert documents[999] == Document("999", "text 999", path)
    assert next(read_documents([path], text_field="body", id_field="none")).id == f"{path}:1"


@pytest.mark.parametrize("kind", ["new_file", "new_stream"])
def test_arrow_files_of_both_kinds_give_their_rows(tmp_path, kind):
    path = str(tmp_path / "a.arrow")
    table = pa.table({"text": TEXTS})
    with getattr(pa.ipc, kind)(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    assert texts_of(path) == TEXTS


def test_a_saved_dataset_gives_its_files_in_its_own_order(tmp_path):
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name, texts in zip(names, [TEXTS[:1], TEXTS[1:]], strict=True):
        table = pa.table({"text": texts})
        with pa.ipc.new_stream(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table)
    write(tmp_path / "cache-1.arrow", b"left by some map()")
    write(tmp_path / "dataset_info.json", b"{}")
    write(tmp_path / "state.json", json.dumps({"_data_files": [{"filename": n} for n in reversed(names)]}).encode())
    assert texts_of(tmp_path) == TEXTS[1:] + TEXTS[:1]


def test_a_saved_dataset_of_several_splits_asks_for_one(tmp_path):
    write(tmp_path / "dataset_dict.json", b'{"splits": ["train", "test"]}')
    with pytest.raises(UserError, match=r"holds several splits, expected one: write \S+/train or \S+/test"):
        texts_of(tmp_path)


def test_a_saved_dataset_without_its_list_of_files_is_refused(tmp_path):
    write(tmp_path / "dataset_info.json", b"{}")
    write(tmp_path / "state.json", b"{}")
    with pytest.raises(UserError, match=r"state\.json: is not what datasets\.save_to_disk writes .*_data_files"):
        texts_of(tmp_path)


def test_a_text_file_is_one_document(tmp_path):
    path = write(tmp_path / "a.txt", "\ufefffirst\nsecond\n".encode())
    assert list(read_documents([path])) == [Document(path, "first\nsecond\n", path)]


def test_the_lines_of_a_text_file_are_documents_when_asked(tmp_path):
    path = write(tmp_path / "a.txt.gz", gzip.compress(b"first\r\n\n  \nsecond"))
    assert list(read_documents([path], per_line=True)) == [
        Document(f"{path}:1", "first", path),
        Document(f"{path}:4", "second", path),
    ]


def test_a_file_that_is_named_is_text_whatever_its_suffix(tmp_path):
    write(tmp_path / "a.py", b"print(1)\n")
    assert texts_of(tmp_path / "a.py") == texts_of(tmp_path / "*.py") == ["print(1)\n"]


def test_paths_keep_their_order_and_folders_and_patterns_are_sorted(tmp_path):
    for name in [
        "b/2.jsonl",
        "b/10.jsonl.gz",
        "b/a/1.txt",
        "b/.hidden.jsonl",
        "b/_SUCCESS/1.txt",
        "b/read.me",
        "a.jsonl",
    ]:
        content = name.encode() if name.endswith("txt") else jsonl([name])
        write(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    inside = ["b/10.jsonl.gz", "b/2.jsonl", "b/a/1.txt"]
    assert texts_of(tmp_path / "b", tmp_path / "a.jsonl") == [*inside, "a.jsonl"]
    assert texts_of(tmp_path / "a.jsonl", tmp_path / "b/*l*") == ["a.jsonl", "b/10.jsonl.gz", "b/2.jsonl"]
    assert texts_of(tmp_path / "**/*.jsonl") == ["a.jsonl", "b/2.jsonl"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    write(tmp_path / "a1.jsonl", jsonl(["other"]))
    assert texts_of(write(tmp_path / "a[1].jsonl", jsonl(["itself"]))) == ["itself"]


@pytest.mark.parametrize("path", ["memory://store/b/1.jsonl.gz", "memory://store/b", "memory://store/**/*.gz"])
def test_a_store_is_read_as_this_machine(path):
    with fsspec.open("memory://store/b/1.jsonl.gz", "wb") as file:
        file.write(gzip.compress(jsonl(TEXTS)))
    documents = list(read_documents([path]))
    assert [document.text for document in documents] == TEXTS
    assert documents[0] == Document("memory:///store/b/1.jsonl.gz:1", "one", "memory:///store/b/1.jsonl.gz")


def test_tables_are_read_from_a_store():
    with fsspec.open("memory://tables/a.parquet", "wb") as file:
        pq.write_table(pa.table({"text": TEXTS}), file)
    assert texts_of("memory://tables/a.parquet") == TEXTS


class FarFile(AbstractBufferedFile):
    """As s3fs, gcsfs and the Hub's have them: read in ranges, and no BytesIO."""

    def _fetch_range(self, start, end):
        return self.fs.files[self.path][start:end]


class Far(fsspec.AbstractFileSystem):
    protocol = "far"
    files: ClassVar[dict[str, bytes]] = {}

    def info(self, path, **_):
        path = self._strip_protocol(path)
        if path not in self.files:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.files[path]), "type": "file"}

    def _open(self, path, mode="rb", **options):
        return FarFile(self, path, mode, size=len(self.files[path]), block_size=16)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.txt", "a.parquet"])
def test_files_of_a_store_that_are_fetched_in_ranges_are_read(name):
    fsspec.register_implementation("far", Far, clobber=True)
    table = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), table)
    Far.files[name] = {
        "a.jsonl": jsonl(TEXTS), "a.jsonl.gz": gzip.compress(jsonl(TEXTS)), "a.txt": "\n".join(TEXTS).encode(),
        "a.parquet": table.getvalue(),
    }[name]  # fmt: skip
    assert texts_of(f"far://{name}") == (["\n".join(TEXTS)] if name == "a.txt" else TEXTS)


def test_a_file_is_streamed(tmp_path):
    """The first document arrives though the file breaks off later."""
    path = write(tmp_path / "a.jsonl", jsonl(["first"]) + b"{")
    assert next(read_documents([path])).text == "first"


FAULTS = {
    "cut off": (b'{"text": "on', r"line 2: is no JSON .*, expected an object a line: is it cut off\?"),
    "deep": (b"[" * 100_000, r"line 2: is no JSON"),
    "a list": (b'["one"]', r"""line 2: holds a list, expected an object such as {"text": "\.\.\."}"""),
    "latin-1": (b'{"text": "caf\xe9"}', r"line 2: byte 0xE9 at 13 is not UTF-8: convert the file first"),
    "no text": (b'{"txt": "one", "id": 1}', r"line 2: there is no 'text', found 'id', 'txt': did you mean 'txt'\?"),
    "nothing": (b"{}", r"line 2: there is no 'text', found nothing: say which one holds the text"),
    "null": (b'{"text": null}', r"line 2: 'text' is null, expected text: convert it or drop the row"),
    "number": (b'{"text": 5}', r"line 2: 'text' is of type int, expected text"),
    "half a pair": (rb'{"text": "ab\ud83d"}', r"line 2: 'text' holds a lone surrogate U\+D83D at character 2"),
    "half an id": (rb'{"text": "a", "id": "\ud83d"}', r"line 2: 'id' holds a lone surrogate U\+D83D at character 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_that_is_no_document_is_refused_with_its_place(tmp_path, fault):
    line, message = FAULTS[fault]
    path = write(tmp_path / "a.jsonl", jsonl(["before"]) + line + b"\n" + jsonl(["after"]))
    with pytest.raises(
        UserError, match=rf"a\.jsonl, {message}.*; or leave out what cannot be read with on_error 'skip'"
    ):
        texts_of(path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_that_is_no_document_is_left_out_and_counted_when_asked(tmp_path, fault, warnings):
    path = write(tmp_path / "a.jsonl", jsonl(["before"]) + FAULTS[fault][0] + b"\n" + jsonl(["after"]))
    assert texts_of(path, on_error="skip") == ["before", "after"]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"warning: left out 1 of 3 documents; the first: {path}, line 2: ")


def test_the_rest_of_a_broken_file_is_one_fault_and_the_next_file_is_read(tmp_path, warnings):
    packed = gzip.compress(jsonl(os.urandom(64).hex() for _ in range(2000)))
    broken = write(tmp_path / "a.jsonl.gz", packed[: len(packed) // 2])
    whole = write(tmp_path / "b.jsonl", jsonl(TEXTS))
    assert texts_of(broken, whole, on_error="skip")[-3:] == TEXTS
    assert "left out 1 of" in warnings[0]
    assert "breaks off" in warnings[0]


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_lines, "LONGEST_LINE", 2**20)
    path = write(tmp_path / "a.jsonl", jsonl(["before", "x" * 2**20]))
    with pytest.raises(UserError, match=r"line 2: is longer than 1 MiB, expected a document a line"):
        texts_of(path)


def test_a_text_file_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.txt: byte 0xFF at 0 is not UTF-8"):
        texts_of(write(tmp_path / "a.txt", "text".encode("utf-16")))


def test_a_packed_text_file_that_breaks_off_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.txt\.gz: the file breaks off"):
        texts_of(write(tmp_path / "a.txt.gz", gzip.compress(b"text" * 1000)[:30]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"txt": ["one"]}, r"a\.parquet: there is no 'text', found 'txt': did you mean 'txt'\?"),
        ({"text": [1]}, r"a\.parquet: column 'text' is of type int64, expected text: convert it first"),
        ({"text": [b"one"]}, r"a\.parquet: column 'text' is of type binary, expected text"),
        ({"text": ["one", None]}, r"a\.parquet, row 2: 'text' is null, expected text"),
    ],
)
def test_a_table_without_text_is_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), path := tmp_path / "a.parquet")
    with pytest.raises(UserError, match=message):
        texts_of(path)


def test_bytes_in_a_table_that_are_not_utf8_are_a_fault_of_their_row(tmp_path):
    column = pa.array([b"one", b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"text": column}), path := tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"row 2: byte 0xE9 at 3 is not UTF-8"):
        texts_of(path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_broken_table_is_refused(tmp_path, suffix):
    table = pa.table({"text": ["a" * 1000] * 1000})
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=rf"after row 0: cannot be read as {suffix} \(.*\): get it anew"):
        texts_of(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.jsonl", r"none\.jsonl: there is no such file: check the path"),
        ("none/*.jsonl", r"none/\*\.jsonl: found no file to read, expected some ending in \.jsonl"),
        ("empty", r"empty: found no file to read"),
        ("a.csv", r"a\.csv: cannot read \.csv, expected .* or plain text: convert it first"),
        ("a.parquet.gz", r"a compressed \.parquet cannot be read in parts: unpack it first"),
        ("empty.jsonl", r"empty\.jsonl: there is no document in it, expected one or more"),
        ("memory://none/a.jsonl", r"memory:/+none/a\.jsonl: there is no such file"),
        ("nowhere://a.jsonl", r"nowhere://a\.jsonl: cannot be read \(ValueError: .*nowhere"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty.jsonl", b"\n")
    with pytest.raises(UserError, match=message):
        texts_of(path)


def test_no_readable_document_at_all_names_the_first_fault(tmp_path, warnings):
    path = write(tmp_path / "a.jsonl", b'{"body": "one"}\n{"body": "two"}\n')
    with pytest.raises(UserError, match=r"there is no document in it.*; the first fault: .*line 1: there is no 'text'"):
        texts_of(path, on_error="skip")


def test_one_string_is_no_list_of_paths():
    with pytest.raises(UserError, match=r"paths is one string, expected several: write \['a\.jsonl'\]"):
        next(read_documents("a.jsonl"))


def test_a_store_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingExtraError, match=r"gs://bucket/a\.jsonl: gs:// needs a package .*: pip install gcsfs"):
        texts_of("gs://bucket/a.jsonl")
