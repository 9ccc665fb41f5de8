"""One shard: rows in order, bad rows aside, and nothing left of a shard that fails."""

import errno
import gzip
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from modernbert.bulk import work
from modernbert.bulk.annotator import Annotator
from modernbert.bulk.output import Output, OutputError
from modernbert.core.errors import UserError
from modernbert.data.corpus_files import corpus_files
from support.annotated import models, recipe, texts, write_jsonl


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    return Annotator(recipe(models(tmp_path_factory.mktemp("models"))["topic"]))


def _annotated(annotator, path, out):
    (shard,) = corpus_files(str(path))
    return work.annotate_shard(annotator, shard, Output(str(out)))


def _rows(num=30):
    return [{"id": f"d{i}", "text": text} for i, text in enumerate(texts(num))]


def _files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_format_gives_the_same_annotations(annotator, tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in _rows()).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.jsonl.zst").write_bytes(zstandard.compress(lines))
    pq.write_table(pa.Table.from_pylist(_rows()), tmp_path / "d.parquet", row_group_size=7)
    made = {}
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "d.parquet"):
        done = _annotated(annotator, tmp_path / name, tmp_path / "out")
        made[name] = (tmp_path / "out" / name.replace(".parquet", "")).with_name(
            f"{name.removesuffix('.parquet')}.parquet"
        )
        assert (done.rows, done.quarantined) == (30, 0)
    contents = {path.read_bytes() for path in made.values()}
    assert len(contents) == 1
    table = pq.read_table(made["a.jsonl"])
    assert table["id"].to_pylist() == [f"d{i}" for i in range(30)]
    assert table["row"].to_pylist() == list(range(1, 31))


def test_windows_change_nothing_but_groups(annotator, tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "a.jsonl", _rows())
    _annotated(annotator, path, tmp_path / "one")
    monkeypatch.setattr(work, "WINDOW_ROWS", 4)
    told = []
    (shard,) = corpus_files(str(path))
    work.annotate_shard(annotator, shard, Output(str(tmp_path / "many")), told.append)
    one, many = (pq.ParquetFile(tmp_path / folder / "a.jsonl.parquet") for folder in ("one", "many"))
    assert (one.num_row_groups, many.num_row_groups) == (1, 8)
    assert one.read()["label"].to_pylist() == many.read()["label"].to_pylist()
    assert [each.rows for each in told] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert told[-1].share == 1.0


def test_bad_rows_go_aside_with_their_reasons(annotator, tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps({"text": "a bell"}).encode()
    path.write_bytes(
        b"\n".join([good, b'{"text": null}', b"{", b'{"text": "\xff"}', b'{"body": 1}', b'{"text": "\\ud800"}', good])
        + b"\n"
    )
    done = _annotated(annotator, path, tmp_path / "out")
    assert (done.rows, done.quarantined, len(done.errors)) == (2, 5, work.FIRST_REASONS)
    told = [json.loads(line) for line in (tmp_path / "out/_quarantine/a.jsonl.jsonl").read_text().splitlines()]
    assert [each["where"].rpartition(" ")[2] for each in told] == ["2", "3", "4", "5", "6"]
    for each, word in zip(told, ["null", "no JSON", "not UTF-8", "no 'text'", "surrogate"], strict=True):
        assert word in each["reason"]
    assert pq.read_table(tmp_path / "out/a.jsonl.parquet")["row"].to_pylist() == [1, 7]
    path.write_bytes(good)
    _annotated(annotator, path, tmp_path / "out")
    assert _files(tmp_path / "out") == ["_done/a.jsonl.json", "a.jsonl.parquet"]


@pytest.mark.parametrize(
    "name", ["broken.jsonl.gz", "broken.parquet", "wrong-column.parquet", "numbers.parquet", "bad.jsonl"]
)
def test_a_shard_that_cannot_be_read_leaves_nothing(annotator, tmp_path, name):
    path = tmp_path / name
    if name == "broken.jsonl.gz":
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in _rows()).encode())[:-20])
    elif name == "bad.jsonl":
        path.write_text('{"body": "a"}\n{"body": "b"}\n')
    else:
        columns = {"wrong-column.parquet": {"body": ["a"]}, "numbers.parquet": {"text": [1]}}.get(
            name, {"text": ["a"] * 99}
        )
        pq.write_table(pa.table(columns), path)
        if name == "broken.parquet":
            path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=name) as told:
        _annotated(annotator, path, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists() or _files(tmp_path / "out") == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(annotator, tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "a.jsonl", _rows())

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self._file, name)

    whole = work._Writer.__init__
    monkeypatch.setattr(work._Writer, "__init__", lambda self, file, recipe: whole(self, Full(file), recipe))
    with pytest.raises(OutputError, match=r"No space left on device.*what is finished is kept"):
        _annotated(annotator, path, tmp_path / "out")
    assert _files(tmp_path / "out") == []


def test_a_store_holds_the_same_bytes_as_a_folder(annotator, tmp_path):
    import fsspec

    path = write_jsonl(tmp_path / "a.jsonl", _rows())
    store = fsspec.filesystem("memory")
    store.pipe("/corpus/deep/a.jsonl", path.read_bytes())
    (shard,) = corpus_files("memory://corpus")
    assert shard.name == "deep/a.jsonl"
    out = Output("memory://scored")
    done = work.annotate_shard(annotator, shard, out)
    assert out.finished([shard.name]) == {shard.name: done}
    _annotated(annotator, path, tmp_path / "out")
    assert out.read("deep/a.jsonl.parquet") == (tmp_path / "out/a.jsonl.parquet").read_bytes()
    assert out.names() == {"deep/a.jsonl.parquet", "_done/deep/a.jsonl.json"}


def test_what_a_killed_worker_was_writing_is_no_part_of_a_job(annotator, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", _rows())
    done = _annotated(annotator, path, tmp_path / "out")
    out = Output(str(tmp_path / "out"))
    whole = out.names()
    (tmp_path / "out/.unfinished-1234-b.jsonl.parquet").write_bytes(b"PAR")
    half = tmp_path / "out/_done/.unfinished-1234-b.jsonl.json"
    half.write_bytes(b"{")
    assert (out.names(), out.sidecars()) == (whole, [done])
    out.clean()
    assert not half.exists()


def test_nothing_makes_a_bucket():
    from fsspec.implementations.memory import MemoryFileSystem

    class Buckets(MemoryFileSystem):
        protocol = ("gs", "gcs")

        def makedirs(self, path, exist_ok=False):
            raise AssertionError(f"made {path}")

        def put_file(self, lpath, rpath, **_):
            if "mistyped" in rpath:
                raise FileNotFoundError("The specified bucket does not exist")
            self.pipe_file(rpath, Path(lpath).read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules["fsspec.registry"]._registry, "gs", Buckets)
        out = Output("gs://mine/scored")
        with out.write("a.json") as file:
            file.write(b"{}")
        assert out.read("a.json") == b"{}"
        nowhere = Output("gs://mistyped/scored")
        told = pytest.raises(OutputError, match=r"gs://mistyped/scored cannot be .*The specified bucket does not exist")
        with told, nowhere.write("a.json") as file:
            file.write(b"{}")


def test_an_empty_file_gives_a_table_without_rows(annotator, tmp_path):
    (tmp_path / "a.jsonl").write_text("")
    assert _annotated(annotator, tmp_path / "a.jsonl", tmp_path / "out").rows == 0
    assert pq.read_table(tmp_path / "out/a.jsonl.parquet").column_names[:3] == ["row", "id", "tokens"]
