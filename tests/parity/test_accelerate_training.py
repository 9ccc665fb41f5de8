"""transformers' Trainer and PEFT on accelerated models: the steps that stock would have taken."""

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import Trainer, TrainingArguments

from modernbert import accelerate, restore
from support.close import assert_exact, assert_fp32
from support.stock import LENGTHS, batch, counted_encodes, stock_model, without_stock_layers

# What transformers calls its own settings from release to release; PEFT asks by the older name.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed in v6:FutureWarning")

LABELS = ("person", "place", "thing")
LORA = {"target_modules": ["Wqkv", "Wo", "Wi"], "r": 4}


def _lora(model, **options):
    """An adapter with weights that matter: PEFT starts one half of it at zero."""
    adapted = get_peft_model(model, LoraConfig(**LORA, **options))
    generator = torch.Generator().manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter) * 0.05
    return adapted


@pytest.mark.parametrize("when", ["before the adapter", "after the adapter"])
def test_lora_gives_stocks_outputs_and_gradients(when):
    model, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    truth = _lora(copy.deepcopy(truth))
    adapted = _lora(accelerate(model) if when == "before the adapter" else model)
    assert accelerate(adapted) is adapted
    labels = torch.arange(len(LENGTHS)) % 3
    with without_stock_layers():
        found = adapted(**batch(), labels=labels)
    expected = truth(**batch(), labels=labels)
    assert_fp32(found.logits, expected.logits)
    found.loss.backward()
    expected.loss.backward()
    graded = 0
    for (name, parameter), twin in zip(adapted.named_parameters(), truth.parameters(), strict=True):
        assert (parameter.grad is None) == (twin.grad is None)
        if parameter.grad is not None:
            graded += "lora_" in name
            assert_fp32(parameter.grad, twin.grad, name=name)
    assert graded == 4 * 4 * 2, "both halves of four matrices in four layers"


def test_lora_with_gradient_checkpointing_and_hooks_that_ask_for_gradients():
    """PEFT's recipe for it puts a hook on the embeddings, which is no reason to run stock."""
    model, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    adapted, truth = _lora(accelerate(model)).train(), _lora(copy.deepcopy(truth)).train()
    adapted.enable_input_require_grads()
    adapted.base_model.model.activation_checkpointing_enable()
    labels = torch.arange(len(LENGTHS)) % 3
    with counted_encodes() as counts:
        adapted(**batch(), labels=labels).loss.backward()
    assert counts == [sum(LENGTHS)]
    truth(**batch(), labels=labels).loss.backward()
    for (name, parameter), twin in zip(adapted.named_parameters(), truth.parameters(), strict=True):
        if parameter.grad is not None:
            assert_fp32(parameter.grad, twin.grad, name=name)


def test_an_adapter_of_an_accelerated_model_is_saved_as_stocks(tmp_path):
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    plain = copy.deepcopy(model)
    adapted = _lora(accelerate(model))
    with torch.no_grad():
        expected = adapted(**batch()).logits
    adapted.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(plain, tmp_path)
    with torch.no_grad():
        assert_fp32(again(**batch()).logits, expected.double())
        assert_exact(accelerate(again)(**batch()).logits, expected)


def test_a_merged_adapter_leaves_an_accelerated_model():
    model, truth = stock_model("ModernBertModel")
    adapted, truth = _lora(accelerate(model)), _lora(copy.deepcopy(truth))
    with torch.no_grad(), without_stock_layers():
        found = adapted.merge_and_unload()(**batch("left")).last_hidden_state
    is_real = batch("left")["attention_mask"].bool()
    with torch.no_grad():
        assert_fp32(found[is_real], truth(**batch("left")).last_hidden_state[is_real])


def test_prompt_tuning_is_stocks():
    """It hands embeddings over instead of ids."""
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    settings = PromptTuningConfig(num_virtual_tokens=4, task_type="SEQ_CLS", num_layers=4, token_dim=128)
    adapted = get_peft_model(model, settings).eval()
    with torch.no_grad():
        expected = adapted(**batch()).logits
        assert_exact(accelerate(adapted)(**batch()).logits, expected)


def _rows(count):
    given = batch(lengths=LENGTHS[:8])
    ids, mask = given["input_ids"], given["attention_mask"]
    return [
        {"input_ids": ids[i % 8], "attention_mask": mask[i % 8], "labels": torch.tensor(i % 3)} for i in range(count)
    ]


@pytest.mark.parametrize("recomputed", [False, True], ids=["", "gradient checkpointing"])
def test_trainer_takes_stocks_steps(tmp_path, recomputed):
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    plain = copy.deepcopy(model)
    trainers = [_trainer(each, tmp_path, recomputed) for each in (model, plain)]
    assert accelerate(trainers[0]) is trainers[0]
    with counted_encodes() as counts:
        losses = [trainer.train().training_loss for trainer in trainers]
        measured = [trainer.evaluate(_rows(8))["eval_loss"] for trainer in trainers]
    assert len(counts) == 4 + 2, "the accelerated one encodes four steps and two batches, the plain one none"
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert measured[0] == pytest.approx(measured[1], abs=1e-5)
    for (name, parameter), twin in zip(model.named_parameters(), plain.named_parameters(), strict=True):
        assert_fp32(parameter.data, twin[1].data.double(), name=name)
    assert restore(trainers[0]) is trainers[0]
    assert type(model.model) is type(plain.model)


def _trainer(model, folder, recomputed):
    settings = TrainingArguments(
        output_dir=str(folder),
        max_steps=4,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        learning_rate=1e-3,
        optim="sgd",  # Adam divides by tiny numbers, which magnifies rounding
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        gradient_checkpointing=recomputed,
        dataloader_pin_memory=False,
        seed=0,
    )
    return Trainer(model, settings, train_dataset=_rows(16))
