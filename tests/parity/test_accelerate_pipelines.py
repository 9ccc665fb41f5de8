"""transformers' pipelines around accelerated models, against the same pipelines untouched."""

import os

import pytest
import torch
import transformers
from transformers import AutoTokenizer, pipeline

from modernbert import accelerate, restore
from support.small import small_checkpoint, small_model
from support.stock import counted_encodes
from support.texts import CORPUS

os.environ["HF_HUB_OFFLINE"] = "1"
LINES = [line for line in CORPUS.splitlines() if len(line) > 60][:5]

TASKS = {
    "fill-mask": ("ModernBertForMaskedLM", [f"{line[:30]}[MASK]{line[40:]}" for line in LINES]),
    "text-classification": ("ModernBertForSequenceClassification", LINES),
    "token-classification": ("ModernBertForTokenClassification", LINES),
    "zero-shot-classification": ("ModernBertForSequenceClassification", LINES[:2]),
    "feature-extraction": ("ModernBertModel", LINES),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.mark.parametrize(
    ("task", "batch_size"),
    # Batches of features hold the outputs of padding, which are zeros here and not with stock.
    [(task, size) for task in TASKS for size in (1, 5) if (task, size) != ("feature-extraction", 5)],
)
def test_a_pipeline_answers_as_before(folder, task, batch_size):
    architecture, texts = TASKS[task]
    torch.manual_seed(0)
    model = getattr(transformers, architecture).from_pretrained(folder)
    if task == "zero-shot-classification":
        model.config.label2id = {"entailment": 0, "contradiction": 1}
    run = pipeline(task, model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    options = {"candidate_labels": ["ships", "light"]} if task == "zero-shot-classification" else {}
    expected = run(texts, batch_size=batch_size, **options)
    assert accelerate(run) is run
    with counted_encodes() as counts:
        found = run(texts, batch_size=batch_size, **options)
    assert counts, "stock ran"
    assert _flat(found) == pytest.approx(_flat(expected), abs=1e-5)
    restore(run)
    assert run(texts, batch_size=batch_size, **options) == expected


def _flat(answer):
    """Every number of a pipeline's answer, by its place; words are compared as they are met."""
    if isinstance(answer, dict):
        answer = [answer[name] for name in sorted(answer)]
    if isinstance(answer, list | tuple):
        return [number for part in answer for number in _flat(part)]
    return [float(sum(answer.encode()))] if isinstance(answer, str) else [float(answer)]


def test_question_answering_by_hand(folder):
    """transformers 5 has no pipeline for it; its users take the best start and end among the context's tokens."""
    torch.manual_seed(0)
    model = transformers.ModernBertForQuestionAnswering.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer(["Who wrote it?"] * 3, LINES[:3], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**given)
        found = accelerate(model)(**given)
    is_real = given["attention_mask"].bool()
    torch.testing.assert_close(found.start_logits[is_real], expected.start_logits[is_real], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.end_logits[is_real], expected.end_logits[is_real], atol=1e-5, rtol=1e-5)


def test_our_own_models_are_told_that_they_need_no_acceleration():
    with pytest.raises(ValueError, match="found MaskedLM, expected a ModernBERT of transformers"):
        accelerate(small_model()[0])
