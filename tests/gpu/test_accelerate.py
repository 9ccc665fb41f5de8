"""Accelerated stock models on a GPU against untouched ones in float64 on the CPU."""

import copy

import pytest
import torch

from modernbert import accelerate
from support.close import assert_fp32, assert_half
from support.stock import batch, stock_model, without_stock_layers

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("unchecked")]  # FlexAttention is compiled: see conftest.backend

LABELS = ("person", "place", "thing")


@pytest.mark.parametrize(
    "architecture", ["ModernBertModel", "ModernBertForMaskedLM", "ModernBertForTokenClassification"]
)
@pytest.mark.parametrize("side", ["right", "left", "holes"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_outputs_are_stocks(architecture, side, dtype):
    model, truth = stock_model(architecture, dtype=dtype, labels=LABELS)
    model.cuda()
    given = batch(side)
    on_device = {name: value.cuda() for name, value in given.items()}
    is_real = given["attention_mask"].bool()
    with torch.no_grad():
        expected = truth(**given)[0][is_real]
        plain = model(**on_device)[0].cpu()[is_real]
        with without_stock_layers():
            found = accelerate(model)(**on_device)[0].cpu()[is_real]
    if dtype == torch.float32:
        assert_fp32(found, expected)
    else:
        assert_half(found, plain=plain, truth=expected)


def test_a_mask_on_the_cpu_is_taken_along():
    model, truth = stock_model("ModernBertModel")
    accelerate(model.cuda())
    given = batch("left")
    with torch.no_grad(), without_stock_layers():
        found = model(input_ids=given["input_ids"].cuda(), attention_mask=given["attention_mask"]).last_hidden_state
    is_real = given["attention_mask"].bool()
    with torch.no_grad():
        assert_fp32(found.cpu()[is_real], truth(**given).last_hidden_state[is_real])


def test_gradients_are_stocks():
    model, truth = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    truth = copy.deepcopy(truth)
    accelerate(model.cuda())
    given = batch()
    labels = torch.arange(len(given["input_ids"])) % 3
    truth(**given, labels=labels).loss.backward()
    model(**{name: value.cuda() for name, value in given.items()}, labels=labels.cuda()).loss.backward()
    for (name, parameter), twin in zip(model.named_parameters(), truth.parameters(), strict=True):
        assert_fp32(parameter.grad.cpu(), twin.grad, name=name)


def test_a_cuda_graph_captures_stock():
    model, _ = stock_model("ModernBertModel", dtype=torch.bfloat16)
    ids = batch(lengths=(66, 66))["input_ids"].cuda()
    accelerate(model.cuda())
    with torch.inference_mode():
        for _ in range(2):
            model(input_ids=ids)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = model(input_ids=ids).last_hidden_state
        graph.replay()
        torch.testing.assert_close(captured, model(input_ids=ids).last_hidden_state, atol=0.1, rtol=0.1)
