import json
from dataclasses import replace

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.evaluation.evaluate import evaluate
from modernbert.retrieval.evaluation.rankers import Bm25
from support.beir import small_collection


def test_results_are_measured_once_and_read_back_equal(tmp_path):
    both = [small_collection(), replace(small_collection(seed=5), name="other stories")]
    first = evaluate(both, lambda: [Bm25(), Bm25(stemming=False)], tmp_path)
    assert [(one.collection, one.ranker) for one in first] == [
        ("stories", "bm25"), ("stories", "bm25, unstemmed"), ("other stories", "bm25"), ("other stories", "bm25, unstemmed"),
    ]  # fmt: skip
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))
    assert files == [f"{name}/{ranker}.json" for name in ("other stories", "stories") for ranker in ("bm25", "bm25_unstemmed")]  # fmt: skip
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert evaluate(both, lambda: [Bm25(), Bm25(stemming=False)], tmp_path) == first
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    kept = json.loads((tmp_path / "stories" / "bm25.json").read_text())
    assert kept["means"] == first[0].means()
    assert kept["measured"]["ranker"]["stemming"] is True


def test_other_settings_or_texts_are_measured_again(tmp_path, capsys):
    collection = small_collection()
    evaluate([collection], lambda: [Bm25()], tmp_path)
    path = tmp_path / "stories" / "bm25.json"
    before = json.loads(path.read_text())["key"]
    evaluate([collection], lambda: [Bm25(k1=0.9)], tmp_path)
    assert "was measured with other settings or texts, and is measured again" in capsys.readouterr().err
    after = json.loads(path.read_text())["key"]
    assert before != after
    changed = replace(collection, documents={**collection.documents, "d0": "nothing"})
    (found,) = evaluate([changed], lambda: [Bm25(k1=0.9)], tmp_path)
    assert json.loads(path.read_text())["key"] not in (before, after)
    assert found.means()["nDCG@10"] < 1


def test_equal_names_and_damaged_results_are_refused(tmp_path):
    collection = small_collection()
    with pytest.raises(UserError, match="two collections are called 'stories'"):
        evaluate([collection, collection], lambda: [Bm25()], tmp_path)
    with pytest.raises(UserError, match="two rankers are called 'bm25'"):
        evaluate([collection], lambda: [Bm25(), Bm25(k1=0.9)], tmp_path / "other")
    path = tmp_path / "stories" / "bm25.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=r"is no result of this command .*: move it away"):
        evaluate([collection], lambda: [Bm25()], tmp_path)
