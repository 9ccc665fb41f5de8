"""int8: equal to its slow twin, switched per encoder, and nothing of it in what is saved."""

import copy
import pickle

import pytest
import torch
import transformers
from torch import nn

import modernbert as mb
from modernbert.core import log
from modernbert.core.errors import UnsupportedError, UserError
from modernbert.model.encoder import Encoder, encode
from modernbert.model.heads import MaskedLM
from modernbert.model.prepacked import prepacked, rounded
from modernbert.model.quantize import dequantize, quantize
from modernbert.model.store import load, save
from modernbert.ops.packed import Packed
from support.close import assert_exact, error
from support.native import needs_native
from support.stock import batch, stock_model
from support.tiny import our_twin, random_documents, stock_twin, tiny_config
from support.whole_numbers import rounded_twin

pytestmark = needs_native

LENGTHS = (1, 2, 65, 0, 130)
SHAPES = {
    "two heads of 64": {},
    "one layer": {"num_hidden_layers": 1},
    "three heads, a wide gate": {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 544},
    "a gate whose sums would overflow 32 bits": {"num_hidden_layers": 2, "intermediate_size": 2624},
}


def tiny_encoder(**changes):
    config = tiny_config(**changes)
    return our_twin(stock_twin(config, "ModernBertModel"), config)


def pack(lengths=LENGTHS):
    return Packed.from_lists(random_documents(lengths))


@torch.no_grad()
def assert_as_its_twin(encoder, packed, *, tipped=0.0):
    """Far nearer to the slow twin than rounding moves anything; float32's own noise tips some numbers over, by one.

    Where one number is a thousand times the others, one over is much: a share of `tipped` of the tokens may be that far off.
    """
    found, full = encode(quantize(copy.deepcopy(encoder)), packed), encode(encoder, packed, backend="blocked")
    twin = encode(rounded_twin(encoder), packed, backend="reference")
    rounding = error(full, twin)
    assert rounding > 1e-3, "the twin rounds nothing"
    by_token = torch.stack([torch.tensor(error(*pair)) for pair in zip(found, twin, strict=True)])
    assert by_token.quantile(1 - tipped) < 0.05 * rounding
    assert by_token.max() < (rounding if tipped else 0.05 * rounding)


@pytest.fixture
def said(monkeypatch, capsys):
    """Warnings of this test alone."""
    monkeypatch.setattr(log, "_warned", set())
    return lambda: capsys.readouterr().err.splitlines()


# ---------------------------------------------------------------- what it computes


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_states_are_those_of_the_slow_twin(shape):
    assert_as_its_twin(tiny_encoder(**shape), pack())


def silence_rows(encoder):
    encoder.layers[1].mlp.Wi.weight[:40] = 0
    encoder.layers[2].attn.Wqkv.weight.zero_()


def silence_a_token(encoder):
    encoder.embeddings.tok_embeddings.weight[random_documents(LENGTHS)[2][7]] = 0


def shout_in_one_channel(encoder):
    encoder.layers[1].mlp_norm.weight[5] = 3000
    encoder.layers[2].attn_norm.weight[77] = -1000


def shout_in_one_weight(encoder):
    encoder.layers[1].mlp.Wo.weight[3, 9] = 50


ODD = {
    "rows of a weight are zero": silence_rows,
    "a token is zero": silence_a_token,
    "one activation is a thousand times the others": shout_in_one_channel,
    "one weight is a thousand times the others": shout_in_one_weight,
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_odd_numbers_are_rounded_as_by_the_slow_twin(change):
    encoder = tiny_encoder()
    with torch.no_grad():
        change(encoder)
        assert encode(quantize(copy.deepcopy(encoder)), pack()).isfinite().all()
    assert_as_its_twin(encoder, pack(), tipped=0.01)


def test_what_is_no_number_is_not_hidden():
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.embeddings.tok_embeddings.weight[random_documents((9, 9))[0][4], 3] = torch.nan
        first, second = pack((9, 9)).split(encode(quantize(encoder), pack((9, 9))))
    assert first[4].isnan().all()
    assert second.isfinite().all()


def test_a_weights_rows_are_rounded_to_the_nearest_of_255_numbers():
    weight = torch.tensor([[0.5, -1.27, 0.014], [0, 0, 0], [3.0, 2.0, 0.01]])
    whole, worth = rounded(weight)
    assert whole.tolist() == [[50, -127, 1], [0, 0, 0], [127, 85, 0]]
    torch.testing.assert_close(worth[[0, 2]], torch.tensor([0.01, 3 / 127]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_weights_of_half_precision_are_rounded_too(dtype):
    encoder = tiny_encoder().to(dtype)
    with torch.no_grad():
        found = encode(quantize(encoder), pack())
        assert prepacked(encoder, encoder, encoder.config, pack()).numbers == "int8"
    assert found.dtype == dtype
    assert error(found, encode(copy.deepcopy(encoder).double(), pack(), backend="reference").detach()) < 0.1


# ---------------------------------------------------------------- the switch


@torch.no_grad()
def test_it_goes_on_and_off_without_a_trace():
    encoder, packed = tiny_encoder(), pack()
    before = encoder(packed).clone()
    assert quantize(encoder) is encoder
    assert encoder.quantized
    assert error(encoder(packed), before.double()) > 1e-3
    assert dequantize(encoder) is encoder
    assert not encoder.quantized
    assert_exact(encoder(packed), before)
    dequantize(encoder)


@torch.no_grad()
def test_copies_keep_the_switch():
    encoder, packed = quantize(tiny_encoder()), pack()
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert other.quantized
        assert_exact(other(packed), encoder(packed))
    assert dequantize(copy.deepcopy(encoder)).quantized is False
    assert encoder.quantized


def test_what_is_saved_is_what_it_was(tmp_path):
    config = tiny_config()
    model = our_twin(stock_twin(config), config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save(model, tmp_path / "before")
    with torch.no_grad():
        quantize(model)(pack())
    save(model, tmp_path / "after")
    after = model.state_dict()
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert_exact(after[name], tensor)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()


@torch.no_grad()
def test_changed_weights_are_rounded_anew():
    encoder = quantize(tiny_encoder())
    encoder(pack())
    encoder.layers[1].mlp.Wo.weight.data.mul_(3)
    full = copy.deepcopy(encoder)
    dequantize(full)
    assert error(encoder(pack()), full(pack()).double()) < 0.1


@torch.no_grad()
def test_every_head_gets_it_through_its_encoder():
    config = tiny_config()
    model = our_twin(stock_twin(config), config)
    packed = pack()
    hidden = encode(quantize(copy.deepcopy(model.model)), packed)
    assert_exact(quantize(model)(packed), model.decoder(model.head(hidden)))


# ---------------------------------------------------------------- transformers' models


@torch.no_grad()
def test_a_stock_model_is_accelerated_and_quantized():
    stock, _ = stock_model()
    inputs = batch()
    before = stock(**inputs).logits
    model = quantize(stock)
    assert model is stock
    found = model(**inputs).logits
    is_real = inputs["attention_mask"].bool()
    assert 1e-3 < error(found[is_real], before[is_real].double()) < 0.3
    fast = mb.accelerate(dequantize(model))
    assert error(fast(**inputs).logits[is_real], before[is_real].double()) < 1e-4
    assert "quantized" not in vars(model.model)


@torch.no_grad()
def test_restore_takes_the_switch_away_too():
    stock, _ = stock_model()
    inputs, before = batch(), vars(stock.model).copy()
    truth = stock(**inputs).logits
    mb.restore(quantize(stock))
    assert vars(stock.model).keys() == before.keys()
    assert_exact(stock(**inputs).logits, truth)


@torch.no_grad()
def test_copies_of_a_stock_model_keep_the_switch(tmp_path):
    model = quantize(stock_model("ModernBertModel")[0])
    assert copy.deepcopy(model).quantized
    assert pickle.loads(pickle.dumps(model)).quantized
    model.save_pretrained(tmp_path)
    again = transformers.AutoModel.from_pretrained(tmp_path)
    assert "quantized" not in vars(again)
    for name, tensor in model.state_dict().items():
        assert_exact(again.state_dict()[name], tensor)


# ---------------------------------------------------------------- what is refused, and what is left to PyTorch

REFUSED = {
    "another head size": ({"hidden_size": 96, "num_attention_heads": 4}, "heads have 24 numbers"),
    "another activation": ({"hidden_activation": "silu"}, "the activation is silu"),
    "biases": ({"mlp_bias": True}, "a Linear has a bias"),
}


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_the_kernels_cannot_run_is_refused(changes, reason):
    encoder = tiny_encoder(**changes)
    with pytest.raises(UnsupportedError, match=f"^quantize: found Encoder, expected .* in int8: {reason}"):
        quantize(encoder)
    assert not encoder.quantized
    stock, _ = stock_model(**changes)
    kind = type(stock.model)
    with pytest.raises(UnsupportedError, match=f"^quantize: found ModernBertModel, expected .*: {reason}"):
        quantize(stock)
    assert type(stock.model) is kind


def replace_a_layer(encoder):
    encoder.layers[0].attn.Wo = nn.Sequential(encoder.layers[0].attn.Wo)


def remove_a_layer(encoder):
    del encoder.layers[0].mlp.Wi


def prune(encoder):
    encoder.layers[1].mlp.Wi, encoder.layers[1].mlp.Wo = nn.Linear(128, 64, bias=False), nn.Linear(32, 128, bias=False)


CHANGED = {
    "a replaced layer": (replace_a_layer, "a Sequential is not a plain layer"),
    "a missing layer": (remove_a_layer, "it has no 'Wi' where a ModernBERT has one"),
    "a pruned layer": (prune, "a layer has another size than the config says"),
    "float64": (lambda encoder: encoder.double(), "weights are float64, and the kernels take float32"),
    "another device": (lambda encoder: encoder.to("meta"), "its weights are on meta, and int8 is for CPUs"),
}


@pytest.mark.parametrize(("change", "reason"), CHANGED.values(), ids=CHANGED)
def test_changed_models_are_refused(change, reason):
    encoder = tiny_encoder()
    change(encoder)
    with pytest.raises(UnsupportedError, match=reason):
        quantize(encoder)


@pytest.mark.parametrize("verb", [quantize, dequantize])
def test_other_architectures_are_refused(verb):
    name = verb.__name__
    with pytest.raises(UnsupportedError, match=f"^{name}: found Linear, expected a ModernBERT or something around one"):
        verb(nn.Linear(2, 2))
    with pytest.raises(UnsupportedError, match=f"^{name}: found str, "):
        verb("answerdotai/ModernBERT-base")


def hook(encoder):
    encoder.layers[0].mlp.Wo.register_forward_hook(lambda module, inputs, output: output)


def test_a_call_that_pytorch_runs_is_in_full_precision_and_says_so_once(said):
    encoder, packed = quantize(tiny_encoder()), pack()
    for _ in range(2):
        found = encoder(packed)
    assert found.requires_grad
    assert_exact(found, encode(dequantize(copy.deepcopy(encoder)), packed))
    assert said() == ["warning: int8: a call computes in the weights' own precision, because gradients are on"]
    hook(encoder)
    with torch.no_grad():
        encoder(packed)
    assert said() == ["warning: int8: a call computes in the weights' own precision, because a Linear has a hook"]


@torch.no_grad()
def test_a_layer_pruned_after_the_switch_is_left_to_pytorch(said):
    encoder = quantize(tiny_encoder())
    prune(encoder)
    assert encoder(pack()).isfinite().all()
    assert "because a layer has another size than the config says" in said()[0]


@torch.no_grad()
def test_encoders_without_the_switch_are_never_talked_about(said):
    encoder = tiny_encoder()
    hook(encoder)
    encoder(pack())
    assert said() == []


# ---------------------------------------------------------------- loading


@pytest.mark.parametrize("kind", [Encoder, MaskedLM])
def test_loading_as_int8_is_loading_in_float32_and_quantizing(kind, tmp_path):
    config = tiny_config()
    save(our_twin(stock_twin(config), config), tmp_path)
    model = load(tmp_path, kind, dtype="int8")
    assert next(model.parameters()).dtype == torch.float32
    with torch.no_grad():
        assert_exact(model(pack()), quantize(load(tmp_path, kind, dtype="float32"))(pack()))


def test_an_unknown_dtype_is_named(unchecked):
    with pytest.raises(UserError, match=r"^dtype: found 'int4', expected auto, float32, bfloat16, int8, or a dtype"):
        load("tiny", dtype="int4")
