"""What is kept is what the conditions say, told by source."""

import pyarrow.parquet as pq
import pytest

from modernbert.bulk.annotator import Annotator
from modernbert.bulk.keep import Condition, keep, redacted
from modernbert.bulk.keep_figure import draw
from modernbert.bulk.output import Output
from modernbert.bulk.work import annotate_shard
from modernbert.core.errors import UserError
from modernbert.data.corpus_files import corpus_files
from support.annotated import corpus, models, recipe


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("keep")
    made = models(home / "models")
    path = corpus(home / "in", files=2)
    with (path / "0.jsonl").open("a") as file:
        file.write('not json\n{"text": "the last bell"}\n')
    annotator = Annotator(recipe(f"quality={made['quality']}", f"topic={made['topic']}", f"names={made['names']}"))
    for shard in corpus_files(str(path)):
        annotate_shard(annotator, shard, Output(str(home / "marks")))
    return home


def _keep(home, out, *where, **changes):
    return keep(str(home / "in"), str(home / "marks"), str(out), where=where, **changes)


def test_documents_above_the_line_are_kept_with_their_texts(home, tmp_path):
    marks = {r["id"]: r for n in "01" for r in pq.read_table(home / f"marks/{n}.jsonl.parquet").to_pylist()}
    middle = sorted(each["quality_score"] for each in marks.values())[len(marks) // 2]
    report = _keep(home, tmp_path / "out", f"quality_score>={middle!r}")
    kept = [row for path in sorted((tmp_path / "out").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert {row["id"] for row in kept} == {name for name, each in marks.items() if each["quality_score"] >= middle}
    assert {row["source"] for row in kept} <= {"a", "b", "0.jsonl"}
    assert report.sources["0.jsonl"].documents == 1  # it has no source of its own
    assert (report.kept, report.documents) == (len(kept), 41)
    assert sum(sum(each.values) for each in report.sources.values()) == 41
    texts = {row.id: row.text for file in corpus_files(str(home / "in")) for row in _rows(file)}
    assert all(row["text"] == texts[row["id"]] for row in kept)
    draw(report, tmp_path / "kept.png")
    assert (tmp_path / "kept.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"expected \.png"):
        draw(report, tmp_path / "kept.doc")


def _rows(file):
    from modernbert.data.corpus_files import CorpusReader

    return CorpusReader(file).rows(lambda *_: None)


def test_entities_are_redacted(home, tmp_path):
    _keep(home, tmp_path / "out", redact="names_entities")
    rows = pq.read_table(tmp_path / "out/1.jsonl.parquet").to_pylist()
    texts = [row.text for row in _rows(corpus_files(str(home / "in/1.jsonl"))[0])]
    assert any("[PER]" in row["text"] for row in rows)
    assert [row["text"] for row in rows] == [
        redacted(text, row["names_entities"]) for text, row in zip(texts, rows, strict=True)
    ]


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("a>=2", True), ("a>2", False), ("a<=2", True), ("a<2", False), ("a = 2.0", True), ("a!=2", False),
        ("b.c>0.4", True), ("t=x y", True), ("t!=x y", False), ("l=p", True), ("l!=p", False),
    ],
)  # fmt: skip
def test_conditions(where, holds):
    row = {"a": 2.0, "b": {"c": 0.5}, "t": "x y", "l": ["p", "q"]}
    assert Condition.of(where).holds(row) is holds


def test_what_does_not_belong_together_is_refused(home, tmp_path):
    for where, told in [("nothing>1", "no such column"), ("id>1", "is text"), ("quality_score>x", "give a number")]:
        with pytest.raises(UserError, match=told):
            _keep(home, tmp_path / "out", where)
    assert not list((tmp_path / "out").rglob("*.parquet"))
    with pytest.raises(UserError, match="--redact nobody: there is no such column"):
        _keep(home, tmp_path / "out", redact="nobody")
    with pytest.raises(UserError, match="found no condition"):
        Condition.of("score 3")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a").write_text("a")
    with pytest.raises(UserError, match="is not empty"):
        _keep(home, tmp_path / "full", "quality_score>1")
    with pytest.raises(UserError, match="is not annotated in"):
        keep(str(home / "models/topic"), str(home / "marks"), str(tmp_path / "out"), where=["a>1"])
