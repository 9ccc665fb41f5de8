"""Fine-tuning on our engine against transformers' own code: the same weights after one step, the same answers afterwards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from modernbert.tasks.answer import Answerer
from modernbert.tasks.choose import Chooser
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune.run import finetune
from modernbert.tasks.tag import Tagger
from support.labelled import ROWS, paired, write_set
from support.small import small_checkpoint

TASKS = ["seq_cls", "multi_label", "regression", "token_cls", "qa", "multiple_choice"]


def _settings(home: Path, task: str, **changes) -> Finetune:
    settings = Finetune(
        task=task,  # type: ignore[arg-type]
        model=str(small_checkpoint(home / "checkpoint")),
        dataset=str(write_set(home / "set", ROWS[task])),
        out=home / "run",
        max_steps=1,
        warmup_ratio=0.0,
        learning_rate=1e-3,
        per_device_train_batch_size=8,
        max_length=96,
        doc_stride=16,
        bf16=False,
    )
    return replace(settings, **changes)


@pytest.mark.parametrize("tuner", ["full", "lora"])
@pytest.mark.parametrize("task", TASKS)
def test_a_step_on_our_engine_is_that_of_stock(task, tuner, tmp_path):
    settings = _settings(tmp_path, task, tuner=tuner, lora_dropout=0.0)
    weights = []
    for accelerate in (True, False):
        outcome = finetune(replace(settings, accelerate=accelerate, out=tmp_path / f"run-{accelerate}"))
        weights.append(load_file(outcome.model / "model.safetensors"))
    before = load_file(Path(settings.model) / "model.safetensors")
    ours, stock = weights
    assert ours.keys() == stock.keys()
    moved = max(float((ours[name] - before[name]).abs().max()) for name in before if name in ours)
    assert moved > 5e-4, "nothing was learnt, so nothing was compared"
    for name, tensor in ours.items():
        if (task, name) == ("multiple_choice", "classifier.bias"):
            continue  # added to all choices alike: its gradient is zero but for rounding, of which Adam makes a step
        torch.testing.assert_close(
            tensor, stock[name], atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_trained_by_stocks_forward(task, tmp_path, monkeypatch):
    """Rows of different lengths are padded for stock heads; no loss may need what stands there."""
    said = []
    monkeypatch.setattr("modernbert.model._hf_forward.warn_once", lambda key, message: said.append(message))
    finetune(_settings(tmp_path, task))
    assert said == []


@pytest.mark.parametrize("tuner", ["full", "lora"])
def test_what_was_saved_classifies_as_the_stock_pipeline_does(tuner, tmp_path):
    from transformers import pipeline

    outcome = finetune(_settings(tmp_path, "seq_cls", tuner=tuner, max_steps=6))
    ours = TextClassifier.from_pretrained(outcome.model, dtype="float32")
    stock = pipeline("text-classification", model=str(outcome.model), device="cpu", top_k=None)
    texts = ["The captain counted the ships before noon.", "a", "Nobody heard the bell. " * 3]
    for text, found in zip(texts, ours.predict(texts), strict=True):
        (scores,) = stock([text])
        logits = np.log(np.array([found.scores[each["label"]] for each in scores])) * ours.prediction.temperature
        expected = np.log(np.array([each["score"] for each in scores]))
        np.testing.assert_allclose(logits - logits.mean(), expected - expected.mean(), atol=2e-5)
    if tuner == "lora":
        adapted = TextClassifier.from_pretrained(tmp_path / "run" / "adapter", dtype="float32")
        np.testing.assert_allclose(
            [each.score for each in adapted.predict(texts)], [each.score for each in ours.predict(texts)], atol=1e-5
        )


def test_pairs_are_read_as_stock_reads_them(tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    settings = replace(_settings(tmp_path, "seq_cls"), dataset=str(write_set(tmp_path / "pairs", paired)))
    outcome = finetune(settings)
    ours = TextClassifier.from_pretrained(outcome.model, dtype="float32")
    stock = AutoModelForSequenceClassification.from_pretrained(outcome.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(outcome.model)
    pair = ("The captain forgot a letter.", "The captain forgot a letter at night.")
    with torch.no_grad():
        logits = stock(**tokenizer(*pair, return_tensors="pt")).logits[0] / ours.prediction.temperature
    (found,) = ours.predict([pair])
    assert [found.scores[label] for label in outcome.labels] == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
def test_entities_have_the_places_of_the_stock_pipeline(tmp_path):
    from transformers import pipeline

    outcome = finetune(_settings(tmp_path, "token_cls", max_steps=40, num_train_epochs=20))
    ours = Tagger.from_pretrained(outcome.model, dtype="float32")
    stock = pipeline("token-classification", model=str(outcome.model), device="cpu", aggregation_strategy="first")
    text = "The captain counted the ships and heard the bell before noon"
    (found,) = ours.predict([text])
    expected = [(each["word"].strip(), each["end"]) for each in stock(text) if each["entity_group"] == "OBJ"]
    assert expected, "the model found nothing, so nothing was compared"
    assert [(each.text, each.end) for each in found.entities] == expected


def test_answers_and_choices_of_a_saved_model(tmp_path):
    from transformers import AutoModelForMultipleChoice, AutoModelForQuestionAnswering, AutoTokenizer

    answering = finetune(_settings(tmp_path / "qa", "qa"))
    ours = Answerer.from_pretrained(answering.model, dtype="float32")
    stock = AutoModelForQuestionAnswering.from_pretrained(answering.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(answering.model)
    question, context = "When?", "The captain counted the ships before noon."
    with torch.no_grad():
        found = stock(**tokenizer(question, context, return_tensors="pt"))
    (parts,) = [list(ours.engine.run([(question, context)], ours.logits))]
    np.testing.assert_allclose(parts[0][0], found.start_logits[0], atol=1e-5)
    np.testing.assert_allclose(parts[0][1], found.end_logits[0], atol=1e-5)
    (answers,) = ours.predict([(question, context)], top_k=3)
    assert all(context[each.start : each.end] == each.text for each in answers)

    choosing = finetune(_settings(tmp_path / "choice", "multiple_choice"))
    chooser = Chooser.from_pretrained(choosing.model, dtype="float32")
    stock = AutoModelForMultipleChoice.from_pretrained(choosing.model).eval()
    choices = ["before noon.", "the bell the bell the bell"]
    batch = AutoTokenizer.from_pretrained(choosing.model)(["He came"] * 2, choices, return_tensors="pt", padding=True)
    with torch.no_grad():
        logits = stock(**{name: x[None] for name, x in batch.items()}).logits[0] / chooser.prediction.temperature
    (chosen,) = chooser.predict([("He came", choices)])
    assert chosen.scores == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)
