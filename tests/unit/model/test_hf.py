import copy
import inspect
import io
import pickle

import pytest
import torch
import transformers
from torch import nn
from transformers.models.modernbert.modeling_modernbert import ModernBertModel

from modernbert import accelerate, restore
from modernbert.core import log
from modernbert.core.errors import ConfigError, UnsupportedError
from support.close import assert_exact
from support.stock import batch, stock_model, without_stock_layers

LABELS = ("person", "place", "thing")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    """What is said once a process is said once a test."""
    monkeypatch.setattr(log, "_warned", set())


def _answer(model, **options):
    with torch.no_grad():
        return model(**batch(lengths=(5, 66)), **options)[0]


def test_restore_leaves_nothing_behind():
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    before = _answer(model)
    kept = [(type(module), vars(module).copy()) for module in model.modules()]
    accelerate(model)
    _answer(model)
    assert restore(model) is model
    for module, (kind, attributes) in zip(model.modules(), kept, strict=True):
        assert type(module) is kind
        assert vars(module).keys() == attributes.keys()
        assert all(vars(module)[name] is attributes[name] for name in attributes)
    assert_exact(_answer(model), before)


def test_accelerating_twice_and_restoring_twice_is_doing_it_once():
    model, _ = stock_model()
    kinds = [type(module) for module in model.modules()]
    once = [type(module) for module in accelerate(model).modules()]
    assert [type(module) for module in accelerate(model).modules()] == once
    assert [type(module) for module in restore(restore(model)).modules()] == kinds
    assert restore(model) is model


def test_an_accelerated_model_looks_like_stock():
    model, _ = stock_model()
    name, signature = repr(type(model.model)), str(inspect.signature(model.model.forward))
    accelerate(model)
    assert isinstance(model.model, ModernBertModel)
    assert repr(type(model.model)) == name
    assert str(inspect.signature(model.model.forward)) == signature
    assert repr(model) == repr(stock_model()[0])


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_is_stock_and_a_deep_copy_is_accelerated(protocol):
    model, _ = stock_model("ModernBertForSequenceClassification", labels=LABELS)
    stock = _answer(model)
    fast = _answer(accelerate(model))
    written = pickle.dumps(model, protocol=protocol)
    assert b"modernbert.model._hf" not in written
    again = pickle.loads(written)
    assert type(again) is transformers.ModernBertForSequenceClassification
    assert type(again.model) is ModernBertModel
    assert_exact(_answer(again), stock)
    twin = copy.deepcopy(model)
    with without_stock_layers():
        assert_exact(_answer(twin), fast)
    assert twin.model.embeddings.tok_embeddings.weight is not model.model.embeddings.tok_embeddings.weight
    assert_exact(_answer(restore(twin)), stock)
    with without_stock_layers():
        _answer(model)


def test_torch_save_and_save_pretrained_write_stock(tmp_path):
    model, _ = stock_model()
    stock = _answer(model)
    accelerate(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert type(again) is transformers.ModernBertForMaskedLM
    assert_exact(_answer(again), stock)
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert loaded.config.architectures == ["ModernBertForMaskedLM"]
    assert_exact(_answer(loaded), stock)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (lambda: transformers.BertModel(_small(transformers.BertConfig)), "found BertModel, expected a ModernBERT"),
        (lambda: transformers.RobertaForMaskedLM(_small(transformers.RobertaConfig)), "found RobertaForMaskedLM and"),
        (lambda: nn.Linear(2, 2), "found Linear, expected a ModernBERT"),
        (lambda: "answerdotai/ModernBERT-base", "found str, expected a ModernBERT"),
        (lambda: [1, 2], "found list, expected a ModernBERT"),
    ],
)
def test_anything_else_is_refused(other, found):
    with pytest.raises(UnsupportedError, match=f"accelerate: {found}"):
        accelerate(other())


def test_restoring_what_holds_no_model_is_refused():
    with pytest.raises(UnsupportedError, match="restore: found int, expected a ModernBERT of transformers"):
        restore(3)


def _small(kind):
    return kind(
        vocab_size=320, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (
            lambda config: config.rope_parameters["full_attention"].update(rope_type="yarn", factor=4.0),
            UnsupportedError,
            "rope_parameters.full_attention.rope_type: found 'yarn', expected 'default'",
        ),
        (lambda config: setattr(config, "hidden_activation", "tanh"), ConfigError, "hidden_activation"),
    ],
)
def test_where_one_of_two_cannot_be_computed_neither_is_changed(change, error, sentence):
    both = nn.ModuleList([stock_model()[0], stock_model()[0]])
    kinds = [type(module) for module in both.modules()]
    change(both[1].model.config)
    with pytest.raises(error, match=sentence):
        accelerate(both)
    assert [type(module) for module in both.modules()] == kinds


def test_a_forward_that_somebody_replaced_is_refused():
    model, _ = stock_model("ModernBertModel")
    model.forward = lambda *_, **__: None
    with pytest.raises(UnsupportedError, match=r"whose forward was replaced by something else, .*: accelerate first"):
        accelerate(model)


def test_a_subclass_with_a_forward_of_its_own_is_refused_and_one_without_is_not():
    class Quiet(ModernBertModel):
        pass

    class Loud(ModernBertModel):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **kwargs)

    config = stock_model("ModernBertModel")[0].config
    with without_stock_layers():
        assert _answer(accelerate(Quiet(config).eval())).shape == (2, 66, 128)
    with pytest.raises(UnsupportedError, match="found Loud, a ModernBertModel with a forward of its own"):
        accelerate(Loud(config))


@pytest.mark.parametrize("whole", [True, False], ids=["torch.compile", "model.compile"])
def test_a_compiled_model_is_refused(whole):
    model, _ = stock_model()
    if whole:
        model = torch.compile(model, backend="eager")
    else:
        model.compile(backend="eager")
    with pytest.raises(UnsupportedError, match=r"that torch\.compile made of a model, expected the model"):
        accelerate(model)


def test_a_class_made_from_an_accelerated_one_must_be_undone_first():
    model, _ = stock_model("ModernBertModel")
    kind = type(accelerate(model))
    model.__class__ = type(f"FSDP{kind.__name__}", (kind,), {})
    with pytest.raises(UnsupportedError, match=r"restore: found FSDPModernBertModel, .* undo that first"):
        restore(model)
    model.__class__ = kind
    assert type(restore(model)) is ModernBertModel


def test_two_models_in_one_are_both_accelerated():
    both = nn.ModuleDict({"question": stock_model()[0], "answer": stock_model("ModernBertModel")[0]})
    accelerate(both)
    with without_stock_layers():
        _answer(both["question"])
        _answer(both["answer"])
