import copy

import pytest
import torch
import transformers
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from modernbert import accelerate
from modernbert.core import log
from support.close import assert_exact
from support.stock import batch, counted_encodes, stock_model, without_stock_layers


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    """What is said once a process is said once a test."""
    monkeypatch.setattr(log, "_warned", set())


def _answer(model):
    with torch.no_grad():
        return model(**batch(lengths=(5, 66)))[0]


FALLBACKS = {
    "output_attentions is asked for": lambda model, given: model(**given, output_attentions=True),
    "output_hidden_states is asked for": lambda model, given: model(**given, output_hidden_states=True),
    "is_causal is asked for": lambda model, given: model(**given, is_causal=True),
    "it is given inputs_embeds": lambda model, given: model(
        inputs_embeds=model.embeddings.tok_embeddings(given["input_ids"]), attention_mask=given["attention_mask"]
    ),
    "it is given position_bias, which is not accelerated": lambda model, given: model(**given, position_bias=3),
    "its attention_mask is not rows by columns": lambda model, given: model(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"].bool()[:, None, None].expand(-1, 1, 66, -1)
    ),
    "its attention_mask is not rows by columns, as its input_ids": lambda model, given: model(
        input_ids=given["input_ids"],
        attention_mask=dict.fromkeys(("full_attention", "sliding_attention")),
    ),
    "its position_ids neither count the tokens nor start again at 0": lambda model, given: model(
        **given, position_ids=2 * torch.arange(66)[None]
    ),
    "its position_ids have another shape": lambda model, given: model(
        **given, position_ids=torch.arange(66)[None, None]
    ),
}


@pytest.mark.parametrize("reason", FALLBACKS)
def test_what_only_stock_can_give_is_stocks_to_the_bit_and_said_once(reason, capfd):
    call = FALLBACKS[reason]
    model, _ = stock_model("ModernBertModel")
    model.set_attn_implementation("eager")  # which gives attentions
    given = batch(lengths=(5, 66))
    if reason.startswith("its position_ids have"):
        model.rotary_emb.forward = _rotary_of_any_shape(model.rotary_emb)
    with torch.no_grad():
        expected = call(model, given)
        capfd.readouterr()
        accelerate(model)
        for _ in range(2):
            found = call(model, given)
    assert list(found.keys()) == list(expected.keys())
    assert_exact(found.last_hidden_state, expected.last_hidden_state)
    said = capfd.readouterr().err
    assert said.count(f"warning: accelerate: a call runs transformers' own forward, because {reason}") == 1


def _rotary_of_any_shape(module):
    forward = module.forward
    return lambda x, position_ids, layer_type: forward(x, position_ids.reshape(1, -1), layer_type)


def test_hidden_states_asked_for_once_do_not_slow_down_what_follows():
    """transformers leaves its hooks on every layer for good."""
    model, _ = stock_model("ModernBertModel")
    accelerate(model)
    assert len(model(**batch(), output_hidden_states=True).hidden_states) == 5
    with without_stock_layers():
        _answer(model)


def test_a_config_that_asks_for_hidden_states_gets_them():
    model, _ = stock_model("ModernBertModel")
    model.config.output_hidden_states = True
    assert len(accelerate(model)(**batch()).hidden_states) == 5


def test_as_a_tuple_where_a_tuple_is_asked_for():
    model, _ = stock_model("ModernBertModel")
    accelerate(model)
    with without_stock_layers():
        assert isinstance(model(**batch(), return_dict=False), tuple)
        assert isinstance(model(**batch(), return_dict=True), transformers.modeling_outputs.BaseModelOutput)


def test_an_own_attention_function_is_respected(capfd):
    model, _ = stock_model("ModernBertModel")
    model.config._attn_implementation = "eager_float64"
    with counted_encodes() as counts:
        _answer(accelerate(model))
    assert not counts
    assert "because its attention implementation 'eager_float64' is not transformers' own" in capfd.readouterr().err


HOOKED = [
    "layers.1",
    "layers.1.attn",
    "layers.1.mlp",
    "layers.1.mlp.act",
    "layers.1.attn.Wo",
    "embeddings",
    "final_norm",
]


@pytest.mark.parametrize("name", HOOKED)
@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"])
def test_somebodys_hook_sees_what_stock_shows(name, kind, capfd):
    model, _ = stock_model("ModernBertModel")
    shapes = []

    def watch(module, *seen):
        tensors = [each for part in seen for each in (part if isinstance(part, tuple) else (part,))]
        shapes.extend(tuple(tensor.shape) for tensor in tensors if isinstance(tensor, torch.Tensor))

    hook = getattr(model.get_submodule(name), kind)(watch)
    accelerate(model)
    with counted_encodes() as counts:
        model(**batch(lengths=(5, 66))).last_hidden_state.sum().backward()
        assert not counts
        assert {shape[:2] for shape in shapes} == {(2, 66)} or (name, kind) == (
            "embeddings",
            "register_forward_pre_hook",
        )
        assert f"because {name} carries a hook" in capfd.readouterr().err
        hook.remove()
        _answer(model)
    assert counts == [71]


@pytest.mark.parametrize(("name", "encoded"), [("layers.1", 0), ("layers.1.mlp.Wi", 1)])
def test_a_hook_of_peft_is_trusted_with_a_linear_layer_only(name, encoded):
    model, _ = stock_model("ModernBertModel")

    def watch(module, given, found):
        pass

    watch.__module__ = "peft.tuners.lora"
    model.get_submodule(name).register_forward_hook(watch)
    accelerate(model)
    with counted_encodes() as counts:
        _answer(model)
    assert len(counts) == encoded


def test_a_hook_around_the_whole_model_sees_padded_rows():
    model, _ = stock_model()
    shapes = []
    model.model.register_forward_hook(lambda module, given, found: shapes.append(found[0].shape))
    accelerate(model)
    with without_stock_layers():
        _answer(model)
    assert shapes == [(2, 66, 128)]


@pytest.mark.parametrize("name", ["layers.1", "layers.1.attn", "layers.1.mlp", "layers.1.mlp.act", "embeddings"])
def test_a_replaced_module_or_forward_is_respected(name, capfd):
    model, _ = stock_model("ModernBertModel")
    accelerate(model)
    parent, _, child = name.rpartition(".")
    own = model.get_submodule(name)

    class Other(type(own)):
        pass

    other = copy.deepcopy(own)
    other.__class__ = Other
    setattr(model.get_submodule(parent), child, other)
    with counted_encodes() as counts:
        _answer(model)
        assert f"because {name} is an Other, not stock's" in capfd.readouterr().err
        setattr(model.get_submodule(parent), child, own)
        own.forward = own.forward
        _answer(model)
    assert not counts
    assert f"because the forward of {name} was replaced" in capfd.readouterr().err


def test_a_replaced_linear_layer_is_called(monkeypatch):
    model, _ = stock_model("ModernBertModel")

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    for layer in model.layers:
        layer.mlp.Wo.__class__ = Doubled
    expected = _answer(model)
    accelerate(model)
    with without_stock_layers():
        torch.testing.assert_close(_answer(model)[1], expected[1], atol=1e-5, rtol=1e-5)


class Hidden(nn.Module):
    """A model as tracers like it: tensors in, one tensor out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def _compiled(model, given):
    return torch.compile(model, backend="eager", fullgraph=True)(**given)


def _exported(model, given):
    return torch.export.export(model, (), given, strict=False).module()(**given)


def _jit_traced(model, given):
    return torch.jit.trace(model, tuple(given.values()), check_trace=False)(*given.values())


def _fx_traced(model, given):
    with torch.no_grad():  # without a mask: stock reads numbers from it
        return make_fx(lambda ids: model(ids, None))(given["input_ids"])(given["input_ids"])


def _by_torch_func(model, given):
    weights = dict(model.named_parameters())
    return torch.func.vjp(lambda weights: torch.func.functional_call(model, weights, (), given), weights)[0]


TRACERS = {
    "torch.compile": _compiled,
    "torch.export": _exported,
    "torch.jit.trace": _jit_traced,
    "make_fx": _fx_traced,
    "torch.func": _by_torch_func,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("tracer", TRACERS)
def test_who_traces_sees_stock(tracer, capfd, unchecked):
    model, _ = stock_model("ModernBertModel", num_hidden_layers=2)
    given = batch(lengths=(66, 66))
    with torch.no_grad():
        expected = model(**given).last_hidden_state
    with counted_encodes() as counts:
        found = TRACERS[tracer](Hidden(accelerate(model)), given)
    assert not counts
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert "accelerate" not in capfd.readouterr().err


@pytest.mark.parametrize("mode", ["meta", "fake"])
def test_models_without_numbers_give_shapes(mode):
    model, _ = stock_model("ModernBertModel")
    accelerate(model)
    given = batch(lengths=(5, 66))
    if mode == "meta":
        found = model.to("meta")(given["input_ids"].to("meta"))  # stock reads numbers from a mask
    else:
        with FakeTensorMode(allow_non_fake_inputs=True) as fake:
            found = model(**{name: fake.from_tensor(value) for name, value in given.items()})
    assert found.last_hidden_state.shape == (2, 66, 128)


def test_bad_calls_are_told_by_stock():
    model, _ = stock_model("ModernBertModel")
    with pytest.raises(ValueError, match="You must specify exactly one of input_ids or inputs_embeds"):
        accelerate(model)()
    with pytest.raises(TypeError, match="too many positional arguments"):
        model(1, 2, 3, 4, 5)
