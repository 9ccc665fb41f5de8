import json

import numpy as np
import pytest

from modernbert.core.errors import ConfigError, UserError
from modernbert.retrieval.training import mining
from modernbert.retrieval.training.config import Mining
from modernbert.retrieval.training.examples import Example
from modernbert.retrieval.training.mining import mine, write_mined


class Angles:
    """A text is a number: the angle of its vector. The closer two numbers, the more alike."""

    num_encoded = 0

    def encode_document(self, texts):
        self.num_encoded += len(texts)
        return self.encode_query(texts)

    def encode_query(self, texts):
        return np.array([[np.cos(float(text)), np.sin(float(text))] for text in texts], np.float32)


CORPUS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]


def _mine(settings, *, rows=(("0", "0.25"),), corpus=CORPUS, **options):
    examples = [Example(query=query, documents=(positive,), scores=None) for query, positive in rows]
    return mine(examples, Angles(), settings, corpus=corpus, **options)


def _taken(mined):
    return [[row[name] for name in row if name.startswith("negative_")] for row in mined.rows]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["0.1", "0.2"]),
        ({"range_min": 1}, ["0.2", "0.3"]),
        ({"max_score": float(np.cos(0.15))}, ["0.2", "0.3"]),
        ({"absolute_margin": 0.0}, ["0.3", "0.4"]),
        ({"absolute_margin": float(np.cos(0.25) - np.cos(0.35))}, ["0.4", "0.5"]),
        ({"relative_margin": float(1 - np.cos(0.45) / np.cos(0.25))}, ["0.5", "0.6"]),
        ({"range_min": 1, "absolute_margin": 0.0}, ["0.4", "0.5"]),
    ],
)
def test_negatives_are_the_best_that_pass(settings, expected):
    mined = _mine(Mining(num_negatives=2, **settings))
    assert _taken(mined) == [expected]
    (row,) = mined.rows
    assert row["scores"] == pytest.approx([np.cos(0.25), *(np.cos(float(text)) for text in expected)], abs=1e-6)


def test_a_floor_and_a_range_leave_too_few_and_are_counted(tmp_path, capsys):
    mined = _mine(Mining(num_negatives=2, min_score=float(np.cos(0.15))))
    assert (mined.rows, mined.num_too_few, mined.num_filtered) == ([], 1, 5)
    with pytest.raises(
        UserError, match="no row has enough negatives: 5 candidates were filtered away; raise range_max"
    ):
        write_mined(mined, tmp_path / "mined.jsonl")
    some = _mine(Mining(num_negatives=1, max_score=float(np.cos(0.45))), rows=(("0", "0.25"), ("0.5", "0.7")))
    write_mined(some, tmp_path / "mined.jsonl")
    assert _taken(some) == [["0.5"], ["0"]] or _taken(some)[0] == ["0.5"]
    assert [json.loads(line) for line in (tmp_path / "mined.jsonl").read_text().splitlines()] == some.rows


def test_no_positive_of_a_query_is_its_negative_and_every_text_is_there_once():
    mined = _mine(
        Mining(num_negatives=2), rows=(("0", "0.1"), ("0", "0.3"), ("0", "0.1"), ("1", "0.2")), corpus=["0.1", "0.4"]
    )
    assert _taken(mined) == [["0.2", "0.4"], ["0.2", "0.4"], ["0.4", "0.3"]]
    assert [row["positive"] for row in mined.rows] == ["0.1", "0.3", "0.2"]


def test_random_ones_are_drawn_by_the_seed_and_the_query():
    settings = [Mining(num_negatives=2, sampling="random", seed=seed) for seed in (1, 1, 2, 3, 4)]
    drawn = [_taken(_mine(one)) for one in settings]
    assert drawn[0] == drawn[1]
    assert len({str(one) for one in drawn}) > 1
    assert all(one[0] == sorted(one[0]) for one in drawn)  # best first


def test_queries_and_documents_in_pieces_are_the_same(monkeypatch):
    rows = (("0", "0.1"), ("0.2", "0.3"), ("0.35", "0.4"))
    whole = _mine(Mining(num_negatives=2), rows=rows)
    monkeypatch.setattr(mining, "_PIECE", 2)
    monkeypatch.setattr(mining, "_BLOCK", 7)
    assert _taken(_mine(Mining(num_negatives=2), rows=rows)) == _taken(whole)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(mining, "_PIECE", 2)
    examples = [Example(query="0", documents=("0.25",), scores=None)]

    class Stopped(Angles):
        def encode_document(self, texts):
            if self.num_encoded >= 4:
                raise KeyboardInterrupt
            return super().encode_document(texts)

    first, second = Stopped(), Angles()
    with pytest.raises(KeyboardInterrupt):
        mine(examples, first, Mining(num_negatives=2), corpus=CORPUS, cache=tmp_path)
    mined = mine(examples, second, Mining(num_negatives=2), corpus=CORPUS, cache=tmp_path)
    assert (first.num_encoded, second.num_encoded) == (4, 3)
    assert _taken(mined) == [["0.1", "0.2"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_negatives": 0}, "num_negatives is 0 and range_min 0, expected 1 and 0 or more"),
        ({"range_min": 98}, "range_min 98 and range_max 100 leave 2 documents, expected num_negatives 3 or more"),
        ({"sampling": "worst"}, "sampling is 'worst', expected top or random"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Mining(**changes)
