import json

import torch
import transformers

from modernbert.model.store import load
from modernbert.ops.packed import Packed
from modernbert.text.tokenizer import Tokenizer
from support.demonstration import demonstration


def test_it_writes_a_model_a_report_and_its_curve():
    folder, told, _ = demonstration()
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.jsonl", "model", "report.html"]
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps[-1]["total_tokens"] == told["tokens"]
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_the_report_is_one_page_that_asks_nobody_for_anything():
    folder, _, _ = demonstration()
    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert "of hidden tokens found in held-out text" in page
    assert page.count("<mark>") >= 1
    for outside in ("<script", "src=", "href='http", 'href="http'):
        assert outside not in page.lower().replace("xlink:href", "")


def test_results_are_on_stdout_and_progress_on_stderr():
    _, told, stderr = demonstration()
    assert {"model", "bigram", "unigram", "tokens_per_second", "roofline_share"} <= told.keys()
    assert "tokens/s" in stderr


def test_the_baselines_are_beaten_by_nothing_that_did_not_learn():
    """Three seconds of training do not reach the bigram; the score must say so rather than flatter."""
    _, told, _ = demonstration()
    assert 0.0 < told["model"] < told["bigram"] + 0.1
    assert told["unigram"] < told["bigram"]


def test_stock_transformers_opens_what_it_trained_and_agrees():
    folder, _, _ = demonstration()
    stock = transformers.AutoModelForMaskedLM.from_pretrained(folder / "model", attn_implementation="eager")
    stock_tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
    ours, tokenizer = load(folder / "model", dtype=torch.float32), Tokenizer.load(folder / "model")
    text = "import [MASK]\n\ndef f(x):\n    return x + 1\n" * 10
    inputs = stock_tokenizer(text, return_tensors="pt")
    (ids,) = tokenizer.encode([text]).ids
    assert inputs["input_ids"][0].tolist() == ids
    with torch.no_grad():
        torch.testing.assert_close(ours(Packed.from_lists([ids])), stock(**inputs).logits[0], atol=1e-4, rtol=1e-4)
