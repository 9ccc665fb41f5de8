"""Accelerated stock models against untouched ones in float64: every head, every way to pad, half precision, gradients."""

import copy

import pytest
import torch
from transformers import DataCollatorWithFlattening

from modernbert import accelerate, restore
from modernbert.core import log
from support.close import assert_exact, assert_fp32, assert_half, error
from support.stock import LENGTHS, batch, counted_encodes, stock_model, without_stock_layers
from support.tiny import random_documents

LABELS = ("person", "place", "thing")
HEADS = {
    "ModernBertModel": {},
    "ModernBertForMaskedLM": {},
    "ModernBertForSequenceClassification": {"labels": LABELS},
    "ModernBertForTokenClassification": {"labels": LABELS},
    "ModernBertForQuestionAnswering": {},
    "ModernBertForMultipleChoice": {},
}


def _outputs(model, given):
    """All tensors that a call gives, those of one row a token at real positions only."""
    is_choice = type(model).__name__ == "ModernBertForMultipleChoice"
    if is_choice:
        given = {name: value.unflatten(0, (2, -1)) for name, value in given.items()}
    found = model(**given)
    is_real = given["attention_mask"].bool()
    return {name: value[is_real] if value.shape[:2] == is_real.shape else value for name, value in found.items()}


@pytest.mark.parametrize("side", ["right", "left", "holes"])
@pytest.mark.parametrize("architecture", HEADS)
def test_every_head_gives_what_it_gave(architecture, side):
    model, truth = stock_model(architecture, **HEADS[architecture])
    given = batch(side)
    with torch.no_grad(), without_stock_layers():
        found = _outputs(accelerate(model), given)
    pooled_at_a_pad = architecture == "ModernBertForSequenceClassification" and side == "left"
    with torch.no_grad():
        expected = _outputs(truth, batch("right") if pooled_at_a_pad else given)
    assert found.keys() == expected.keys()
    for name in expected:
        assert_fp32(found[name], expected[name], name=name)


@pytest.mark.parametrize("generation", ["old", "new"])
@pytest.mark.parametrize("thetas", [{}, {"global_rope_theta": 80_000.0, "local_rope_theta": 5_000.0}])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_both_generations_of_configs(generation, thetas, every):
    model, truth = stock_model(generation=generation, global_attn_every_n_layers=every, **thetas)
    given = batch()
    with torch.no_grad(), without_stock_layers():
        found = _outputs(accelerate(model), given)["logits"]
    with torch.no_grad():
        assert_fp32(found, _outputs(truth, given)["logits"])


@pytest.mark.parametrize("architecture", ["ModernBertModel", "ModernBertForSequenceClassification"])
def test_half_precision_is_as_good_as_stock_in_half_precision(architecture):
    model, truth = stock_model(architecture, dtype=torch.bfloat16, **HEADS[architecture])
    given = batch()
    with torch.no_grad():
        expected = _outputs(truth, given)
        plain = _outputs(model, given)
        with without_stock_layers():
            found = _outputs(accelerate(model), given)
    for name in expected:
        assert_half(found[name], plain=plain[name], truth=expected[name])


def test_a_batch_without_a_mask_and_its_position_ids_are_plain_documents():
    model, truth = stock_model("ModernBertModel")
    ids = batch(lengths=(70, 70))["input_ids"]
    columns = torch.arange(70)[None]
    with torch.no_grad(), without_stock_layers():
        accelerate(model)
        found = [
            model(input_ids=ids).last_hidden_state,
            model(ids, None, columns).last_hidden_state,
            model(ids, position_ids=(columns + 5).expand(2, -1)).last_hidden_state,
            model(ids, return_dict=False)[0],
        ]
    with torch.no_grad():
        expected = truth(input_ids=ids).last_hidden_state
    for each in found:
        assert_fp32(each, expected)


def test_rows_of_padding_alone_are_zeros_and_disturb_nobody():
    model, truth = stock_model("ModernBertModel")
    given = batch(lengths=(66, 5, 9))
    given["attention_mask"][1] = 0
    given["input_ids"][1] = 0
    with torch.no_grad(), without_stock_layers():
        found = accelerate(model)(**given).last_hidden_state
    with torch.no_grad():
        expected = truth(**given).last_hidden_state
    is_real = given["attention_mask"].bool()
    assert_fp32(found[is_real], expected[is_real])
    assert not found[~is_real].any()
    assert found.shape == expected.shape


def test_a_batch_of_padding_alone_is_stocks():
    model, _ = stock_model("ModernBertModel")
    given = {name: torch.zeros_like(value) for name, value in batch(lengths=(66, 5)).items()}
    with torch.no_grad():
        expected = model(**given).last_hidden_state
        assert_exact(accelerate(model)(**given).last_hidden_state, expected)
        columns = torch.arange(66)[None]
        assert_exact(model(**given, position_ids=columns).last_hidden_state, expected)


def _packed(documents, **options):
    features = [{"input_ids": document} for document in documents]
    given = DataCollatorWithFlattening(return_tensors="pt", **options)(features)
    return {name: value for name, value in given.items() if name != "labels"}


@pytest.mark.parametrize("options", [{}, {"return_flash_attn_kwargs": True, "return_seq_idx": True}])
@pytest.mark.parametrize(
    "architecture", ["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForTokenClassification"]
)
def test_documents_packed_into_one_row_are_kept_apart(architecture, options):
    model, truth = stock_model(architecture, **HEADS[architecture])
    documents = [[max(3, token) for token in document] for document in random_documents(LENGTHS)]
    given = _packed(documents, **options)
    with torch.no_grad():
        alone = [truth(input_ids=torch.tensor([document]))[0][0] for document in documents]
        mixed = model(**given)[0][0]
        with without_stock_layers():
            found = accelerate(model)(**given)[0][0]
    assert_fp32(found, torch.cat(alone))
    assert error(mixed, torch.cat(alone)) > 0.01, "stock was repaired: take the sentence about it out of the docs"


def test_that_packed_documents_are_kept_apart_is_said_once(monkeypatch, capfd):
    monkeypatch.setattr(log, "_warned", set())
    model, _ = stock_model("ModernBertModel")
    given = _packed([[5, 6, 7], [8, 9]], return_flash_attn_kwargs=True)
    accelerate(model)
    with torch.no_grad():
        model.config._attn_implementation = "flash_attention_2"  # which keeps them apart, too
        model(**given)
        assert capfd.readouterr().err == ""
        model.config._attn_implementation = "sdpa"
        model(**given)
        model(**given)
    assert capfd.readouterr().err.count("documents packed into one row are kept apart") == 1


def test_packed_rows_of_several_lengths_with_padding_are_kept_apart():
    model, truth = stock_model("ModernBertModel")
    one, two, three = ([max(3, token) for token in document] for document in random_documents((30, 66, 50)))
    ids = torch.tensor([one + two, three + [0] * 46])
    positions = torch.tensor([[*range(30), *range(66)], [*range(50), *range(46)]])
    mask = torch.tensor([[1] * 96, [1] * 50 + [0] * 46])
    with torch.no_grad(), without_stock_layers():
        found = accelerate(model)(input_ids=ids, attention_mask=mask, position_ids=positions).last_hidden_state
    with torch.no_grad():
        alone = [truth(input_ids=torch.tensor([document])).last_hidden_state[0] for document in (one, two, three)]
    assert_fp32(torch.cat((found[0], found[1, :50])), torch.cat(alone))


def test_left_padded_rows_are_classified_by_their_first_token():
    model, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS, classifier_pooling="cls")
    with torch.no_grad():
        expected = truth(**batch("right")).logits
        wrong = model(**batch("left")).logits
        accelerate(model)
        with without_stock_layers():
            assert_fp32(model(**batch("left")).logits, expected)
            assert_fp32(model(**batch("left"), return_dict=False)[0], expected)
        by_stock = model(**batch("left"), output_hidden_states=True)
    assert_fp32(by_stock.logits, expected)
    assert len(by_stock.hidden_states) == 5
    assert error(wrong, expected) > 0.1, "stock was repaired: take the sentence about it out of the docs"


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_only_an_answer_that_differs_is_told(pooling, monkeypatch, capfd):
    monkeypatch.setattr(log, "_warned", set())
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS, classifier_pooling=pooling)
    accelerate(model)
    with torch.no_grad():
        model(**batch("right"))
        assert capfd.readouterr().err == ""
        model(**batch("left"))
        model(**batch("left"))
    assert capfd.readouterr().err.count("left-padded rows are classified by their first token") == (pooling == "cls")


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_both_poolings_of_the_classifier(pooling):
    model, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS, classifier_pooling=pooling)
    labels = torch.arange(len(LENGTHS)) % 3
    with without_stock_layers():
        found = accelerate(model)(**batch(), labels=labels)
    expected = truth(**batch(), labels=labels)
    assert_fp32(found.logits, expected.logits)
    assert_fp32(found.loss, expected.loss)


def _labels(architecture, given):
    """What to train each head on; none where masks are 0."""
    ids, mask = given["input_ids"], given["attention_mask"]
    ends = mask.sum(1) - 1
    return {
        "ModernBertForMaskedLM": {"labels": ids.masked_fill((mask == 0) | (ids % 3 > 0), -100)},
        "ModernBertForSequenceClassification": {"labels": torch.arange(len(ids)) % 3},
        "ModernBertForTokenClassification": {"labels": (ids % 3).masked_fill(mask == 0, -100)},
        "ModernBertForQuestionAnswering": {"start_positions": ends // 2, "end_positions": ends},
        "ModernBertForMultipleChoice": {"labels": torch.tensor([1, 4])},
    }[architecture]


@pytest.mark.parametrize("architecture", list(HEADS)[1:])
@pytest.mark.parametrize("recomputed", [False, True], ids=["", "gradient checkpointing"])
def test_losses_and_gradients_are_stocks(architecture, recomputed):
    """Question answering alone has no padding here: its loss is over all columns, see below."""
    model, truth = stock_model(architecture, **HEADS[architecture])
    truth = copy.deepcopy(truth).train()
    accelerate(model.train())
    if recomputed:
        model.activation_checkpointing_enable()
    given = batch(lengths=(130,) * 4 if architecture == "ModernBertForQuestionAnswering" else LENGTHS)
    labels = _labels(architecture, given)
    if architecture == "ModernBertForMultipleChoice":
        given = {name: value.unflatten(0, (2, -1)) for name, value in given.items()}
    with counted_encodes() as counts:
        found = model(**given, **labels)
    assert counts == [int(given["attention_mask"].sum())]
    expected = truth(**given, **labels)
    assert_fp32(found.loss, expected.loss.double(), name="loss")
    found.loss.backward()
    expected.loss.backward()
    for (name, parameter), twin in zip(model.named_parameters(), truth.parameters(), strict=True):
        assert_fp32(parameter.grad, twin.grad, name=name)


@pytest.mark.parametrize(
    "architecture", ["ModernBertForQuestionAnswering", "ModernBertForTokenClassification", "ModernBertForMaskedLM"]
)
def test_a_loss_that_reads_masked_positions_is_stocks_to_the_bit(architecture):
    model, _ = stock_model(architecture, **HEADS[architecture])
    twin = copy.deepcopy(model)
    given = batch()
    labels = _labels(architecture, given)
    if "labels" in labels:
        labels["labels"] = given["input_ids"] % 3
    found, expected = accelerate(model)(**given, **labels), twin(**given, **labels)
    assert_exact(found.loss, expected.loss)
    found.loss.backward()
    expected.loss.backward()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert_exact(parameter.grad, other.grad)


def test_sparse_prediction_gives_the_masked_tokens_logits_alone():
    model, truth = stock_model("ModernBertForMaskedLM")
    truth = copy.deepcopy(truth)
    model.sparse_prediction = truth.sparse_prediction = True
    given = batch()
    labels = given["input_ids"].masked_fill(given["attention_mask"] == 0, -100)
    with torch.no_grad(), without_stock_layers():
        found = accelerate(model)(**given, labels=labels)
    with torch.no_grad():
        expected = truth(**given, labels=labels)
    assert_fp32(found.logits, expected.logits)
    assert found.logits.shape == (sum(LENGTHS), 320)


@pytest.mark.parametrize("mask_of", ["right", "holes"])
def test_masked_tokens_that_are_no_padding_are_stocks_to_the_bit(mask_of):
    """ColBERT's query expansion masks [MASK] tokens and reads their outputs."""
    model, _ = stock_model("ModernBertModel")
    given = batch(mask_of)
    given["input_ids"][given["attention_mask"] == 0] = 7
    with torch.no_grad():
        expected = model(**given).last_hidden_state
        assert_exact(accelerate(model)(**given).last_hidden_state, expected)


def test_autocast_rounds_as_stock_does():
    model, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    given = batch()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        plain = model(**given).logits
        with without_stock_layers():
            found = accelerate(model)(**given).logits
    with torch.no_grad():
        assert_half(found, plain=plain, truth=truth(**given).logits)


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_a_quantised_model_gives_what_it_gave():
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    given = batch(lengths=(64, 64))
    with torch.no_grad():
        expected = quantised(**given).logits
        with counted_encodes() as counts:
            found = accelerate(quantised)(**given).logits
    assert counts == [128]
    # Scales are a tensor's own, so what is equal but for rounding may be rounded to the next step in int8.
    assert error(found, expected) < 0.05 * float(expected.abs().max())


def test_every_model_of_the_process_is_accelerated_and_restored():
    before, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    given = batch("left")
    with torch.no_grad():
        expected, wrong = truth(**batch("right")).logits, before(**given).logits
        accelerate()
        try:
            after, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
            with without_stock_layers():
                assert_fp32(before(**given).logits, expected)
                assert_fp32(after(**given).logits, expected)
                accelerate()
                accelerate(after)
        finally:
            restore()
        assert_exact(before(**given).logits, wrong)
        with without_stock_layers():
            assert_fp32(after(**given).logits, expected)
        assert_exact(restore(after)(**given).logits, wrong)
