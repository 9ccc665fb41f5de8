from modernbert.retrieval.evaluation.evaluate import Result
from modernbert.retrieval.evaluation.measures import MEASURES
from modernbert.retrieval.evaluation.published import everything, published
from modernbert.retrieval.evaluation.table import report


def _result(ranker, value, *, collection="sea", kind="bm25", queries=40):
    scores = {name: {f"q{number}": value for number in range(queries)} for name in MEASURES}
    return Result(
        collection=collection, ranker=ranker, kind=kind, scores=scores, build_seconds=1.25, num_bytes=2_500_000,
        seconds_p50=0.0015, seconds_p95=0.02, num_documents=1234,
    )  # fmt: skip


def _rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_one_collection_has_quality_certainty_and_cost():
    text = report([_result("bm25", 0.5), _result("dense x", 0.75, kind="dense")])
    head, _, first, second = _rows(text)
    assert head == ["sea", "nDCG@10", "MRR@10", "recall@10", "recall@100", "MAP@100", "p", "build s", "MB", "p50 ms", "p95 ms"]  # fmt: skip
    assert first == ["bm25", "50.0 [50.0, 50.0]", "50.0", "50.0", "50.0", "50.0", "", "1.2", "2.5", "1.5", "20.0"]
    assert second[:2] == ["dense x", "75.0 [75.0, 75.0]"]
    assert second[6] == "< 0.001"
    assert "40 queries, 1,234 documents" in text
    assert "published" not in text
    assert len({len(line) for line in text.splitlines() if line.startswith("|")}) == 1


def test_several_collections_have_an_overview_first():
    results = [_result("a", 0.5), _result("b", 0.25), _result("a", 0.75, collection="land"), ]  # fmt: skip
    rows = _rows(report(results))
    assert rows[0] == ["nDCG@10", "sea", "land", "mean"]
    assert rows[2:4] == [["a", "50.0", "75.0", "62.5"], ["b", "25.0", "", ""]]


def test_the_paper_stands_beside_rankers_of_its_kind():
    text = report(
        [_result("bm25", 0.5, collection="scifact"), _result("dense x", 0.5, collection="scifact", kind="dense")]
    )
    assert any(row[:2] == ["dense modernbert-base, published", "57.0"] for row in _rows(text))
    assert not any(row[0].startswith("late") for row in _rows(text))
    assert everything()["source"] in text


def test_published_figures_are_found_by_any_name_of_a_collection():
    assert published("SciFact", "late")["modernbert-large"] == 0.732
    assert published("TRECCOVID", "dense") == published("trec-covid", "dense")
    assert published("MultiLongDocRetrieval-en", "late")["modernbert-base"] == 0.802
    assert published("vaswani", "dense") == published("scifact", "bm25") == {}


def test_the_papers_means_are_those_of_its_tables():
    """Tables 7 and 8 print means, which the data file leaves out; table 1 repeats them."""
    means = {"dense": {"bert-base": 38.9, "gte-base": 41.4, "modernbert-base": 41.6, "modernbert-large": 44.0}, "late": {"bert-base": 49.0, "gte-large": 50.7, "modernbert-base": 51.3, "modernbert-large": 52.4}}  # fmt: skip
    for table in everything()["tables"]:
        assert all(len(row) == len(table["columns"]) for row in table["rows"].values())
        assert len(table["rows"]) == 11
        if table["table"] in ("7", "8"):
            for model, mean in means[table["kind"]].items():
                assert abs(sum(table["rows"][model]) / 15 - mean) < 0.06
