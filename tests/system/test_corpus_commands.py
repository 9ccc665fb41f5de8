"""From a corpus to token shards by command: `tokenizer train`, `tokenizer check`, `data tokenize`, `data stats`, `data peek`."""

import json

import pytest

from modernbert.data.shards import Shards
from support.demonstration import modernbert
from support.texts import CORPUS, small_tokenizer_folder


@pytest.fixture
def corpus(tmp_path):
    rows = [{"id": f"d{n}", "text": text} for n, text in enumerate(CORPUS.splitlines()) if text.strip()]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def run(cwd, *words):
    done = modernbert(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_corpus_becomes_a_tokenizer_and_then_shards(corpus):
    trained = run(
        corpus, "tokenizer", "train", "corpus.jsonl", "--out", "tok", "--vocab-size", "448", "--num-unused", "8"
    )
    assert "448 tokens, 8 unused; [UNK] 435, [CLS] 436" in trained
    assert trained.endswith("tokenizer: tok\n")

    checked = run(corpus, "tokenizer", "check", "tok", "corpus.jsonl")
    assert "texts that do not come back: 0" in checked
    assert "not ModernBERT's own layout: vocab_size is 448, there 50,368" in checked

    words = (
        "--tokenizer",
        "tok",
        "--out",
        "shards",
        "--hold-out",
        "0.3",
        "--at-least",
        "30",
        "--dropped",
        "left.jsonl",
    )
    made = json.loads(run(corpus, "data", "tokenize", "corpus.jsonl", *words, "--json"))
    assert made["documents"] == len(Shards.open(corpus / "shards"))
    assert made["held_out_documents"] == len(Shards.open(corpus / "shards" / "held-out"))
    assert made["dropped"]["length"] + made["dropped"].get("exact duplicate", 0) == len(
        (corpus / "left.jsonl").read_text().splitlines()
    )

    shown = run(corpus, "data", "stats", "shards", "shards/held-out", "--length", "20", "--verify")
    assert shown.count("all checksums are right") == 2
    rows = [json.loads(row) for row in run(corpus, "data", "stats", "shards", "shards/held-out", "--json").splitlines()]
    assert [row["tokens"] for row in rows] == [made["tokens"], made["held_out_tokens"]]

    peeked = run(corpus, "data", "peek", "shards", "--length", "64", "--room", "128", "--rate", "0.5")
    assert "row 0: " in peeked
    assert "⟦MASK" in peeked
    assert "the first 4 blocks: 16,384 pieces" in peeked


def test_tokenizing_sums_up_in_words(corpus):
    shown = run(corpus, "data", "tokenize", "corpus.jsonl", "corpus.jsonl", "--tokenizer", str(small_tokenizer_folder()),
                "--out", "shards", "--num-workers", "0")  # fmt: skip
    lines = shown.splitlines()
    assert lines[0].startswith("to train on: ")
    assert any(line.startswith("dropped for exact duplicate: ") for line in lines)
    assert lines[-2].endswith(" MB/s per core")
    assert lines[-1] == "shards: shards"


def test_a_vocabulary_is_described_without_texts(corpus):
    facts = json.loads(run(corpus, "tokenizer", "check", str(small_tokenizer_folder()), "--json"))
    assert facts["special"]["mask"] == 439
    assert facts["sources"] == {}


WRONG = {
    "no documents": (("data", "tokenize", "gone.jsonl", "--out", "x"), "gone.jsonl: there is no such file"),
    "a folder that is there": (("data", "tokenize", "corpus.jsonl", "--out", "."), ". is there already"),
    "no shards": (("data", "stats", "."), "holds no index.json"),
    "no folder": (("data", "stats"), "found no folder, expected one or more"),
    "a tokenizer that is there": (("tokenizer", "train", "corpus.jsonl", "--out", "."), ". is there already"),
    "too small a sample": (
        ("tokenizer", "train", "corpus.jsonl", "--out", "x", "--most-bytes", "1000"),
        "most_bytes is 1000 for 1 paths",
    ),
    "no tokenizer": (("tokenizer", "check", "gone"), "gone holds no tokenizer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_use_is_one_sentence(case, corpus):
    words, message = WRONG[case]
    if words[1] == "tokenize":
        words += ("--tokenizer", str(small_tokenizer_folder()), "--num-workers", "0")
    done = modernbert(*words, cwd=corpus)
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert done.stdout == b""
    assert {path.name for path in corpus.iterdir()} == {"corpus.jsonl"}
