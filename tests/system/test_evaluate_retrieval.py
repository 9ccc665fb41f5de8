"""`modernbert evaluate retrieval`, from folders to tables, gone on with and compared."""

import json

from modernbert.cli.main import main
from support.beir import write_beir, write_small
from support.small import small_checkpoint


def _cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_folders_are_ranked_by_everybody_once(tmp_path, capsys):
    stories, model = str(write_small(tmp_path / "stories")), str(small_checkpoint(tmp_path / "small"))
    more = write_beir(tmp_path / "more", corpus=[{"_id": "1", "text": "ships sail"}], queries=[{"_id": "a", "text": "ships"}], qrels="a 1 1")  # fmt: skip
    words = ["evaluate", "retrieval", stories, str(more), "--models", model, "--out", str(tmp_path / "out")]
    words += ["--cache", str(tmp_path / "cache")]
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: {kind}" for folder in (stories, str(more)) for kind in ("bm25", f"dense {model}", f"hybrid {model}")
    ]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text == (tmp_path / "out" / "table.md").read_text()
    assert [row[0] for row in _cells(text)[2:5]] == ["bm25", "dense small", "hybrid small"]
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*.json")}
    assert len(files) == 6
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    results = {(row["collection"], row["ranker"]): row for row in json.loads(out)["results"]}
    assert results["more", "bm25"]["nDCG@10"] == 1.0
    assert results["stories", "bm25"]["nDCG@10"] > results["stories", "dense small"]["nDCG@10"]
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_words_are_read_as_told(tmp_path, capsys):
    stories = str(write_small(tmp_path / "stories"))
    words = ["evaluate", "retrieval", stories, "--rankers", "bm25", "--out", str(tmp_path / "out"), "--unstemmed", "--identifiers"]  # fmt: skip
    assert main(words) == 0
    assert _cells(capsys.readouterr().out)[2][0] == "bm25, unstemmed, identifiers"


def test_mistakes_are_one_sentence(tmp_path, capsys):
    for words, message in (
        ([], "found no collection, expected a folder in BEIR's layout"),
        ([str(tmp_path / "none"), "--rankers", "bm25"], "there is no such folder, expected corpus.jsonl"),
        ([str(tmp_path), "--rankers", "best"], "--rankers: found 'best', expected some of bm25"),
        ([str(tmp_path), "--depth", "0"], "--depth 0: expected 1 or more"),
    ):
        assert main(["evaluate", "retrieval", *words]) == 2
        assert message in capsys.readouterr().err
