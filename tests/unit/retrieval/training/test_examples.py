import pytest

from modernbert.core.errors import UserError
from modernbert.data.records import Record
from modernbert.retrieval.training.config import TrainRetrieval
from modernbert.retrieval.training.examples import Example, read_examples, to_columns, to_example
from support.pairs import small_pairs, write_rows


def _example(values, *, columns=None, **options):
    return to_example(Record(values, "rows.jsonl, line 3"), columns or {}, **options)


@pytest.mark.parametrize(
    ("row", "documents", "scores"),
    [
        ({"query": "q", "positive": "p"}, ("p",), None),
        ({"anchor": "q", "pos": "p", "negative": "n"}, ("p", "n"), None),
        (
            {"question": "q", "answer": "p", "negative_1": "n", "negative_2": "m", "scores": [1, 2, 3]},
            ("p", "n", "m"),
            None,
        ),
        ({"query": "q", "positive": "p", "negatives": ["n", "m"]}, ("p", "n", "m"), None),
        ({"query": "q", "documents": ["a", "b"], "scores": [1, -2.5]}, ("a", "b"), (1.0, -2.5)),
        ({"query": "q", "text": "d", "label": 0}, ("d",), (0.0,)),
    ],
)
def test_rows_of_every_form_are_read(row, documents, scores):
    assert _example(row) == Example(query="q", documents=documents, scores=scores)


def test_columns_may_be_named():
    assert _example({"q": "a", "d": "b"}, columns={"query": "q", "positive": "d"}).documents == ("b",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"positive": "p"},
            "line 3: found positive, expected a column for query: name it, such as columns.query=COLUMN",
        ),
        ({"query": "q"}, "expected a column for positive"),
        ({"query": " ", "positive": "p"}, "query is ' ', expected a text"),
        ({"query": "q", "positive": 3}, "positive is '3', expected a text"),
        ({"query": "q", "positive": "p", "negatives": "n"}, "negatives is 'n', expected a list of texts"),
        (
            {"query": "q", "documents": ["a", "b"], "scores": [1]},
            "found 2 documents and 1 scores, expected as many of both",
        ),
        ({"query": "q", "documents": ["a", "b"], "scores": [1, "x"]}, "expected numbers"),
        ({"query": "q", "documents": ["a", "b"], "scores": [1, float("nan")]}, "expected numbers"),
        ({"query": "q", "document": "d", "label": 2}, "the label is 2, expected 0 to 1"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused_with_their_place(row, message):
    with pytest.raises(UserError, match=message):
        _example(row)
    with pytest.raises(UserError, match="found query, positive, expected documents and scores to distil from"):
        _example({"query": "q", "positive": "p"}, needs_scores=True)


def test_rows_that_are_there_twice_count_once_and_samples_are_drawn_by_the_seed(tmp_path, capsys):
    rows = small_pairs(20)
    path = write_rows(tmp_path / "rows.jsonl", [*rows, rows[0]])
    assert len(read_examples(TrainRetrieval(kind="dense", data=path))) == 20
    assert "1 of 21 rows are there twice, and count once" in capsys.readouterr().err
    drawn = [
        read_examples(TrainRetrieval(kind="dense", data=path, max_train_samples=5, seed=seed)) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 5


def test_what_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "rows.jsonl").write_text("\n")
    with pytest.raises(UserError, match="there is no row in it"):
        read_examples(TrainRetrieval(kind="dense", data=str(tmp_path / "rows.jsonl")))
    with pytest.raises(UserError, match=r"'nobody/nothing' is no file or folder here, and the Hub gave no such set \("):
        read_examples(TrainRetrieval(kind="dense", data="nobody/nothing"))


PAIR = Example(query="q", documents=("p", "n", "m"), scores=None)
SCORED = Example(query="q", documents=("a", "b", "c"), scores=(3.0, 2.0, 1.0))


def test_columns_stand_in_the_order_that_losses_read(capsys):
    short = Example(query="r", documents=("p", "n"), scores=None)
    assert to_columns([PAIR, short], "contrastive", None) == {"query": ["q", "r"], "positive": ["p", "p"], "negative_1": ["n", "n"]}  # fmt: skip
    assert "1 of 2 rows have more than 1 documents beside the first: the rest is not used" in capsys.readouterr().err
    assert list(to_columns([SCORED], "distil", None)) == ["query", "positive", "negative_1", "negative_2", "label"]
    assert to_columns([SCORED], "distil", 1)["label"] == [[3.0, 2.0]]
    assert to_columns([PAIR], "labels", None) == {
        "query": ["q"] * 3,
        "document": ["p", "n", "m"],
        "label": [1.0, 0.0, 0.0],
    }


def test_rows_that_do_not_fit_the_loss_are_refused():
    with pytest.raises(UserError, match="num_negatives is 3, found a row with 2"):
        to_columns([PAIR], "contrastive", 3)
    with pytest.raises(UserError, match="found rows with scores or labels, expected positives and negatives"):
        to_columns([SCORED], "contrastive", None)
    with pytest.raises(UserError, match="all 1 pairs have the label 1, expected two kinds"):
        to_columns([Example(query="q", documents=("p",), scores=None)], "labels", None)
