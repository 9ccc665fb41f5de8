"""The benchmark of pre-training at toy size: its checks, its contenders, its page left alone."""

import json
import random
from pathlib import Path

import pytest
import torch

from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.text.train import train_tokenizer
from modernbert.train.start import with_vocabulary

pytest.importorskip("accelerate", reason="transformers' Trainer needs it")

ROOT = Path(__file__).resolve().parents[2]
WORDS = "the quick brown fox jumps over a lazy dog while seven old wizards read long books".split()  # noqa: SIM905


@pytest.fixture
def pretrain(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import pretrain

    return pretrain


@pytest.fixture
def text(pretrain):
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randrange(5, 120))) for _ in range(40)]
    tokenizer = train_tokenizer(texts, vocab_size=512, num_unused=8)
    return pretrain.Text(name="made", tokenizer=tokenizer, documents=tokenizer.encode(texts, special=False).ids)


def test_it_compares_all_three_and_leaves_the_page_alone(pretrain, tmp_path, capsys):
    page = ROOT / "docs" / "benchmarks-pretrain.md"
    before = page.read_bytes() if page.exists() else None
    draw = random.Random(1)
    lines = [json.dumps({"text": " ".join(draw.choices(WORDS, k=draw.randrange(5, 200)))}) for _ in range(60)]
    (tmp_path / "made.jsonl").write_text("\n".join(lines), encoding="utf-8")
    options = ["--vocabulary", "512", "--cases", "tiny:256", "--rounds", "3", "--no-write"]
    pretrain.main(["--text", str(tmp_path / "made.jsonl"), *options])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| tiny")]
    assert [row[2].strip() for row in rows] == ["Trainer, a document a row", "Trainer, concatenated", "ours"]
    assert all(float(row[5].replace(",", "")) > 0 for row in rows)
    assert (page.read_bytes() if page.exists() else None) == before


def test_a_model_that_computes_something_else_is_not_timed(pretrain, text):
    model = fresh(with_vocabulary(SIZES["tiny"], Vocabulary.of(text.tokenizer)), MaskedLM)
    pretrain.check_equal(model, pretrain.stock_model(model, sparse=True), text)
    other = pretrain.stock_model(model, sparse=True)
    with torch.no_grad():
        other.head.dense.weight.mul_(1.1)
    with pytest.raises(AssertionError, match=r"losses differ|gradients of"):
        pretrain.check_equal(model, other, text)


def test_the_peers_read_the_documents_as_their_script_does(pretrain, text):
    vocabulary = Vocabulary.of(text.tokenizer)
    rows = pretrain.one_document_a_row(text.documents, vocabulary, 32)
    assert [len(row) for row in rows] == [min(32, len(ids) + 2) for ids in text.documents]
    assert all(row[0] == vocabulary.cls_id and row[-1] == vocabulary.sep_id for row in rows)
    chunks = pretrain.concatenated(text.documents, vocabulary, 32)
    assert {len(chunk) for chunk in chunks} == {32}
    assert len(chunks) == sum(len(ids) + 2 for ids in text.documents) // 32


def test_a_step_of_transformers_trainer_counts_what_it_read(pretrain, text, tmp_path):
    vocabulary = Vocabulary.of(text.tokenizer)
    model = fresh(with_vocabulary(SIZES["tiny"], vocabulary), MaskedLM)
    contenders = pretrain._contenders(model, text, 256, torch.device("cpu"), tmp_path, fuses=False)
    steps = {name: [contender.step() for _ in range(2)] for name, contender in contenders.items()}
    for contender in contenders.values():
        contender.close()
    for chunked in steps[pretrain.CHUNKED]:
        assert chunked.tokens == chunked.places == 256
    for padded in steps[pretrain.PADDED]:
        assert padded.tokens < padded.places
    for ours in steps[pretrain.OURS]:
        assert 128 < ours.tokens == ours.places <= 256
    assert all(abs(own[0].loss - torch.tensor(512.0).log()) < 0.5 for own in steps.values())


def test_an_error_inside_the_trainer_reaches_who_asked_for_the_step(pretrain, text, tmp_path):
    model = fresh(with_vocabulary(SIZES["tiny"], Vocabulary.of(text.tokenizer)), MaskedLM)
    contenders = pretrain._contenders(model, text, 256, torch.device("cpu"), tmp_path, fuses=False)
    contender = contenders[pretrain.PADDED]
    contender._trainer.data_collator = lambda rows: 1 / 0
    with pytest.raises(ZeroDivisionError):
        contender.step()


def test_the_shares_of_a_profile_add_up_and_name_the_parts(pretrain, text, tmp_path):
    from hotspots import where_time_goes

    model = fresh(with_vocabulary(SIZES["tiny"], Vocabulary.of(text.tokenizer)), MaskedLM)
    ours = pretrain._contenders(model, text, 256, torch.device("cpu"), tmp_path, fuses=False)[pretrain.OURS]
    shares = {line.split("|")[1].strip(): line.split("|")[2] for line in where_time_goes(ours, steps=1)[2:]}
    assert {"linear", "attention", "decoder and loss", "optimizer", "data", "norms", "rotary"} <= set(shares)
    assert sum(float(share.strip().rstrip("%")) for share in shares.values()) == pytest.approx(100, abs=1)


def test_the_page_tells_text_machine_and_every_row(pretrain, text):
    from modernbert.bench.machine import examine

    row = pretrain.Row(
        case="tiny:256",
        contender=pretrain.PADDED,
        tokens=250,
        pads=0.25,
        speed=1234.5,
        of_matmul=0.5,
        ratio=(2.5, 2.0, 3.0),
        rounds=3,
        first_loss=6.2,
    )
    page = pretrain._page([row], text, examine(), 0.1, fuses=False)
    assert "| tiny:256 | Trainer, a document a row | 250 | 25% | 1,234 | 50% | 2.50 (2.00–3.00) | 3 | 6.20 |" in page
    assert "Text: made; 40 documents" in page
    assert "load before 0.1" in page
