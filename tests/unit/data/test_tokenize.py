"""From files to shards: what goes where, the same for any number of workers, and what is refused."""

import json
import multiprocessing
import os
import unicodedata

import pytest

from modernbert.core.errors import UserError
from modernbert.core.files import content_hash
from modernbert.data import _encode
from modernbert.data import tokenize as module
from modernbert.data.config import Filters
from modernbert.data.shards import Shards
from modernbert.data.sources import Document
from modernbert.data.tokenize import tokenize
from support.texts import CORPUS, NASTY, small_tokenizer, small_tokenizer_folder

TEXTS = [line for line in CORPUS.splitlines() if line]


def jsonl(path, texts):
    path.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    return str(path)


def run(tmp_path, texts, name="out", **settings):
    settings = {"tokenizer": small_tokenizer_folder(), "num_workers": 0, **settings}
    return tokenize([jsonl(tmp_path / f"{name}.jsonl", texts)], out=tmp_path / name, **settings)


def documents(folder):
    shards = Shards.open(folder)
    return [shards.tokens(i).tolist() for i in range(len(shards))]


@pytest.mark.parametrize("batch", [1, 300, 1_000_000])
def test_every_document_is_there_as_the_tokenizer_alone_makes_it(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(module, "_BATCH", batch)
    outcome = run(tmp_path, TEXTS)
    expected = [small_tokenizer().encode([text], special=False).ids[0] for text in TEXTS]
    assert documents(tmp_path / "out") == expected
    assert (outcome.documents, outcome.tokens) == (len(TEXTS), sum(map(len, expected)))
    assert outcome.bytes_read == outcome.bytes_kept == sum(len(text.encode()) for text in TEXTS)
    assert outcome.bytes_per_token == outcome.bytes_kept / outcome.tokens
    assert outcome.dropped == {}
    assert outcome.as_dict()["mb_per_core_second"] > 0


def test_texts_come_back_from_the_shards(tmp_path):
    texts = [text for text in NASTY.values() if text.strip()]
    run(tmp_path, texts, filters=Filters(exact_duplicates=False))
    tokenizer = Shards.open(tmp_path / "out").tokenizer()
    found = [tokenizer.decode(ids, special=True) for ids in documents(tmp_path / "out")]
    assert found == [unicodedata.normalize("NFC", text) for text in texts]


def test_special_tokens_spelled_out_in_a_text_are_text(tmp_path):
    run(tmp_path, ["it ends with [SEP] and [MASK], or [unused3]"])
    vocabulary = Shards.open(tmp_path / "out").vocabulary
    ids = documents(tmp_path / "out")[0]
    assert not set(ids) & vocabulary.special_ids
    assert max(ids) < vocabulary.num_ordinary


def test_the_shards_are_the_same_for_any_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 300)  # some twelve batches
    settings = {"hold_out": 0.3, "shard_tokens": 200, "filters": Filters(at_least=20)}
    alone = run(tmp_path, TEXTS, dropped=tmp_path / "alone.jsonl", **settings)
    one = content_hash(tmp_path / "out"), content_hash(tmp_path / "alone.jsonl")
    (tmp_path / "out").rename(tmp_path / "first")
    together = run(tmp_path, TEXTS, dropped=tmp_path / "together.jsonl", num_workers=2, **settings)
    assert (content_hash(tmp_path / "out"), content_hash(tmp_path / "together.jsonl")) == one
    assert together.tokens == alone.tokens > 0
    assert len(Shards.open(tmp_path / "out").shards) > 1


def test_held_out_documents_are_apart_and_nothing_is_lost(tmp_path):
    outcome = run(tmp_path, TEXTS, hold_out=0.3)
    kept, held = documents(tmp_path / "out"), documents(tmp_path / "out" / "held-out")
    run(tmp_path, TEXTS, "all")
    assert sorted(kept + held) == sorted(documents(tmp_path / "all"))
    assert (outcome.documents, outcome.held_out_documents) == (len(kept), len(held))
    assert (outcome.tokens, outcome.held_out_tokens) == (sum(map(len, kept)), sum(map(len, held)))
    Shards.open(tmp_path / "out" / "held-out").verify()


def test_the_same_text_is_on_the_same_side_in_every_corpus(tmp_path):
    copies = Filters(exact_duplicates=False)
    run(tmp_path, [*TEXTS, *(f"  {unicodedata.normalize('NFD', t)}\n" for t in TEXTS)], hold_out=0.3, filters=copies)
    run(tmp_path, TEXTS[::-1], "backwards", hold_out=0.3)
    twice, once = (
        {Shards.open(path).tokenizer().decode(ids).strip() for ids in documents(path)}
        for path in (tmp_path / "out" / "held-out", tmp_path / "backwards" / "held-out")
    )
    assert twice == once


def test_the_share_held_out_is_the_one_asked_for():
    for share in (0.0, 0.01, 0.5):
        held = sum(_encode.is_held_out(f"text {n}", share) for n in range(20_000))
        assert abs(held - 20_000 * share) <= 5 * (20_000 * share * (1 - share)) ** 0.5


def test_what_is_held_out_never_changes():
    held = [n for n in range(60) if _encode.is_held_out(f"text {n}", 0.1)]
    assert held == [17, 19, 39, 55, 56, 59]  # corpora made before must stay apart from those made now


def test_what_is_dropped_is_counted_and_written_down_in_order(tmp_path):
    texts = ["one text", "", "another text", "one text", "x"]
    filters = Filters(at_least=0)
    outcome = run(tmp_path, texts, filters=filters, dropped=tmp_path / "dropped.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    source = str(tmp_path / "out.jsonl")
    assert rows == [
        {"id": "d1", "source": source, "reason": "empty: no token is left of it"},
        {"id": "d3", "source": source, "reason": "exact duplicate: of one before"},
    ]
    assert outcome.dropped == {"empty": 1, "exact duplicate": 1}
    facts = Shards.open(tmp_path / "out").made_from
    assert facts["dropped"] == outcome.dropped
    assert facts["documents_read"] == 5
    assert facts["paths"] == [source]


def test_the_tokenizers_own_threads_are_given_back(tmp_path, monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    run(tmp_path, TEXTS)
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    run(tmp_path, TEXTS, "again")
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hold_out": 1.0}, r"hold_out is 1\.0, expected a share from 0 to below 1"),
        ({"hold_out": -0.1}, r"hold_out is -0\.1"),
        ({"num_workers": -1}, r"num_workers is -1, expected 0 or more"),
        ({"tokenizer": "gone"}, r"gone holds no tokenizer"),
        ({"filters": Filters(at_least=10_000)}, r"all \d+ documents were dropped \(.*length \d+\): loosen the filters"),
        ({"hold_out": 1e-9}, r"hold_out leaves \d+ documents to train on and 0 to evaluate on"),
        (
            {"hold_out": 1 - 1e-9},
            r"hold_out leaves 0 documents to train on and \d+ to evaluate on, expected one or more",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, TEXTS, dropped=tmp_path / "dropped.jsonl", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_process_that_dies_is_one_sentence(tmp_path, monkeypatch):
    def documents(*_, **__):
        for n in range(1000):
            yield Document(str(n), f"text {n}", "made up")
            if n == 20:
                for child in multiprocessing.active_children():  # others may have left some of theirs
                    child.kill()

    monkeypatch.setattr(module, "read_documents", documents)
    monkeypatch.setattr(module, "_BATCH", 30)
    with pytest.raises(UserError, match=r"a process that tokenizes has ended by itself.*nothing was written"):
        run(tmp_path, TEXTS, num_workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
