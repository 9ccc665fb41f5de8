"""`modernbert rerank`: documents in the order in which they answer, by pairs and by vectors of tokens."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.reranker import Reranker
from support.demonstration import modernbert
from support.retrieval import write_classifier, write_pylate

QUESTION = "who heard the bell?"
TEXTS = ["The keeper counted ships.", "In winter nobody heard the bell.", "fog", "Every gull at noon."]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("rerank")
    write_classifier(home / "pairs", 1)
    write_pylate(home / "late")
    (home / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    return home


def _expected(scores):
    return [
        {
            "rank": rank,
            "line": int(place) + 1,
            "text": TEXTS[place],
            "score": pytest.approx(float(scores[place]), abs=1e-5),
        }
        for rank, place in enumerate(np.argsort(-np.asarray(scores), kind="stable"), start=1)
    ]


def test_each_pair_is_read_and_texts_are_sorted_by_their_scores(home):
    words = ("rerank", QUESTION, "texts.txt", "--model", "pairs", "--dtype", "float32", "--json")
    done = modernbert(*words, cwd=home)
    assert done.returncode == 0, done.stderr.decode()
    scores = Reranker.from_pretrained(home / "pairs", dtype="float32").predict([(QUESTION, text) for text in TEXTS])
    assert [json.loads(line) for line in done.stdout.splitlines()] == _expected(scores)


def test_late_interaction_reads_stdin_and_writes_a_table(home):
    words = (
        "rerank",
        QUESTION,
        "--model",
        "late",
        "--late",
        "--dtype",
        "float32",
        "--top-k",
        "2",
        "--out",
        "found.parquet",
    )
    done = modernbert(*words, stdin="\n".join(TEXTS), cwd=home)
    assert done.returncode == 0, done.stderr.decode()
    late = LateInteraction.from_pretrained(home / "late", dtype="float32")
    query, documents = late.encode_query([QUESTION])[0], late.encode_document(TEXTS)
    scores = [(query.astype(np.float64) @ rows.astype(np.float64).T).max(axis=1).sum() for rows in documents]
    assert pq.read_table(home / "found.parquet").to_pylist() == _expected(scores)[:2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "late"), "found a module Dense, expected none for a reranker"),
        (("--model", "pairs", "--late"), "expected a late-interaction folder"),
        (("--model", "pairs", "--top-k", "0"), "top_k: found 0, expected 1 or more"),
        (("--model", "pairs", "--out", "found.csv"), "found '.csv'"),
    ],
)
def test_a_wrong_use_is_one_sentence(home, words, message):
    done = modernbert("rerank", QUESTION, "texts.txt", *words, cwd=home)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: ")
    assert message in line
