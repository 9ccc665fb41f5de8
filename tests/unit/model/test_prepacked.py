"""The whole encoder in the kernels: what it computes, when PyTorch runs instead, and that it never uses old weights."""

import copy
import gc
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from weakref import ref

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from modernbert.model._native_limits import why_not
from modernbert.model.encoder import Encoder, encode
from modernbert.model.prepacked import Prepacked, prepacked
from modernbert.ops.native.library import library
from modernbert.ops.packed import Packed
from support.close import assert_exact, assert_fp32, assert_half, error
from support.native import needs_native
from support.tiny import BOUNDARIES, our_twin, random_documents, stock_twin, tiny_config

pytestmark = needs_native

FULL, SLIDING = "full_attention", "sliding_attention"
LENGTHS = (*BOUNDARIES, 0, 300)
SHAPES = {
    "two heads of 64": {},
    "four heads of 32": {"num_attention_heads": 4},
    "one head of 128": {"num_attention_heads": 1},
    "three heads, a wide gate": {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 544},
    "window of 8": {"local_attention": 16},
    "other thetas": {"global_rope_theta": 80_000.0, "local_rope_theta": 500.0},
    "all sliding": {"num_hidden_layers": 3, "layer_types": (SLIDING,) * 3},
    "one layer": {"num_hidden_layers": 1},
    "large epsilon": {"norm_eps": 0.1},
}


def tiny_encoder(**changes):
    config = tiny_config(**changes)
    return our_twin(stock_twin(config, "ModernBertModel"), config)


def pack(lengths=(70, 3)):
    return Packed.from_lists(random_documents(lengths))


def reason(encoder, packed):
    with torch.no_grad():
        return why_not(encoder, encoder.config, packed)


def assert_same_as_torch(encoder, packed, **tolerance):
    with torch.no_grad():
        found, truth = encode(encoder, packed), encode(encoder, packed, backend="blocked")
    assert_fp32(found.float(), truth.double(), **tolerance)


# ---------------------------------------------------------------- what it computes


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_gives_the_stock_hidden_states(shape):
    config = tiny_config(**shape)
    stock = stock_twin(config, "ModernBertModel")
    encoder, packed = our_twin(stock, config), pack(LENGTHS)
    assert reason(encoder, packed) is None
    with torch.no_grad():
        hidden = packed.split(encoder(packed))
        for document, found in zip(random_documents(LENGTHS), hidden, strict=True):
            if document:
                assert_fp32(found, stock(input_ids=torch.tensor([document])).last_hidden_state[0])
    assert_same_as_torch(encoder, packed)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_weights_of_half_precision_give_hidden_states_of_half_precision(dtype):
    encoder, packed = tiny_encoder().to(dtype), pack(LENGTHS)
    with torch.no_grad():
        found, plain = (encoder(packed, backend=backend) for backend in ("auto", "reference"))
        truth = copy.deepcopy(encoder).double()(packed, backend="reference")
    assert_half(found, plain=plain, truth=truth)


def test_threads_change_not_one_bit():
    encoder, packed = tiny_encoder(), pack((300, 5, 70))
    with torch.no_grad():
        alone = encoder(packed)
        try:
            torch.set_num_threads(3)
            for _ in range(10):
                assert_exact(encoder(packed), alone)
        finally:
            torch.set_num_threads(1)


def test_two_threads_may_lay_out_and_encode_at_once():
    encoder, packed = tiny_encoder(), pack((90, 5))
    with torch.no_grad():
        truth = encoder(packed, backend="blocked").double()

    def run(_):
        with torch.inference_mode():
            return encoder(packed).clone()

    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(run, range(16)):
            assert_fp32(found, truth)


@pytest.mark.parametrize(
    "ids",
    [torch.arange(146).view(2, 73).t()[:, 0], torch.arange(73, dtype=torch.int32)],
    ids=["every second one of a table", "int32"],
)
def test_ids_may_lie_anyhow(ids):
    encoder, packed = tiny_encoder(), pack((70, 3))
    assert_same_as_torch(encoder, packed.with_ids(ids))


# ---------------------------------------------------------------- when PyTorch runs


class Wrapped(nn.Module):
    """What LoRA puts in the place of a linear layer."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.weight = base.weight  # PEFT's layers show it, too

    def forward(self, x):
        return 2 * self.base(x)


def add_bias(encoder):
    encoder.layers[1].mlp.Wi.bias = nn.Parameter(torch.ones(encoder.layers[1].mlp.Wi.out_features))


def wrap(encoder):
    encoder.layers[2].attn.Wqkv = Wrapped(encoder.layers[2].attn.Wqkv)


def shadow_forward(encoder):
    before = encoder.layers[0].mlp.Wo.forward
    encoder.layers[0].mlp.Wo.forward = lambda x: 2 * before(x)


def start_dropout(encoder):
    encoder.layers[3].mlp.drop.p = 0.5
    encoder.train()


def widen_one(encoder):
    encoder.layers[3].attn.Wo.double()
    encoder.layers[3].attn.Wo.register_forward_hook(lambda module, inputs, output: output.float())
    encoder.layers[3].attn.Wo.register_forward_pre_hook(lambda module, inputs: inputs[0].double())


LOST = {
    "a hook": (lambda e: e.layers[0].attn.Wo.register_forward_hook(lambda m, i, o: 2 * o), "a Linear has a hook"),
    "a pre-hook": (lambda e: e.final_norm.register_forward_pre_hook(lambda m, i: (2 * i[0],)), "a LayerNorm has a hook"),
    "a hook on the embeddings": (
        lambda e: e.embeddings.tok_embeddings.register_forward_hook(lambda m, i, o: 2 * o), "an? Embedding has a hook",
    ),
    "a hook on a first layer's norm": (
        lambda e: e.layers[0].attn_norm.register_forward_hook(lambda m, i, o: 2 * o), "an? Identity has a hook",
    ),
    "a shadowed forward": (shadow_forward, "a Linear has a hook"),
    "a wrapped layer": (wrap, "a Wrapped is not a plain layer"),
    "a bias": (add_bias, "a Linear has a bias"),
    "dropout": (start_dropout, "dropout is on"),
    "one layer of another type": (widen_one, "a Linear has a"),
    "a parametrized weight": (
        lambda e: nn.utils.parametrizations.weight_norm(e.layers[1].mlp.Wo), "a ParametrizedLinear is not a plain layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), LOST.values(), ids=LOST)
def test_what_the_kernels_would_miss_is_run_by_torch(change, sentence):
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        encoder(packed)  # laid out before the change: the copy must not be used any more
    change(encoder)
    with torch.no_grad():
        torch.manual_seed(0)
        found = encoder(packed)
        torch.manual_seed(0)
        assert_fp32(found, encoder(packed, backend="blocked").double())
    assert re.match(sentence, reason(encoder, packed) or "nothing")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hidden_activation": "silu"}, "the activation is silu, and the kernels have the exact gelu"),
        ({"hidden_activation": "gelu_pytorch_tanh"}, "the activation is gelu_pytorch_tanh, and"),
        ({"hidden_size": 96, "num_attention_heads": 4}, "heads have 24 numbers, and the kernels take multiples of"),
        ({"intermediate_size": 100}, "width 128 or gate 100 does not fill panels of"),
        ({"norm_bias": True}, "a LayerNorm has a bias"),
        ({"attention_bias": True}, "a Linear has a bias"),
        ({"mlp_bias": True}, "a Linear has a bias"),
    ],
    ids=str,
)
def test_shapes_that_the_kernels_lack_are_run_by_torch(changes, sentence):
    encoder, packed = tiny_encoder(**changes), pack()
    assert reason(encoder, packed).startswith(sentence)
    assert_same_as_torch(encoder, packed)


def test_a_layer_of_another_size_than_the_config_says_is_run_by_torch():
    encoder, packed = tiny_encoder(), pack()
    inside = encoder.layers[1].mlp
    inside.Wi, inside.Wo = nn.Linear(128, 64, bias=False), nn.Linear(32, 128, bias=False)
    assert_same_as_torch(encoder, packed)
    with torch.no_grad():
        assert prepacked(encoder, encoder, encoder.config, packed) is None


def test_gradients_are_never_lost():
    encoder, packed = tiny_encoder(), pack()
    assert why_not(encoder, encoder.config, packed) == "gradients are on"
    encoder(packed).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    encoder.requires_grad_(False)
    assert why_not(encoder, encoder.config, packed) is None
    encoder.final_norm.requires_grad_(True)
    assert why_not(encoder, encoder.config, packed) == "gradients are on"


def test_attention_dropout_is_heard_in_training_only():
    encoder, packed = tiny_encoder(attention_dropout=0.2), pack()
    for layer in encoder.layers:
        layer.attn.out_drop.p = 0.0
    assert reason(encoder, packed) is None
    assert reason(encoder.train(), packed) == "attention dropout is on"


def test_every_way_to_watch_operations_sees_them():
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(packed)
    assert counter.get_total_flops() > 1e6
    with torch.no_grad(), torch.device("cpu"):  # which is a mode, too
        assert why_not(encoder, encoder.config, packed) == "the calls are being traced or counted"
    handle = nn.modules.module.register_module_forward_hook(lambda m, i, o: None)
    try:
        assert reason(encoder, packed) == "every module has a hook"
    finally:
        handle.remove()
    assert reason(encoder, packed) is None


def test_holes_and_other_devices_are_run_by_torch():
    encoder, packed = tiny_encoder(), pack()
    mask = torch.ones(1, 20)
    mask[0, 5:9] = 0
    assert reason(encoder, Packed.from_padded(torch.ones(1, 20).long(), mask)) == "a document has holes"
    assert reason(encoder, packed.to("meta")) == "the batch is on meta"


def test_a_backend_asked_for_by_name_runs():
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        auto, native, blocked = (encoder(packed, backend=name) for name in ("auto", "native", "blocked"))
    assert_exact(native, auto)
    assert not torch.equal(blocked, auto), "two ways of adding up, or is one of them the other?"


# ---------------------------------------------------------------- never old weights


def train_a_step(encoder):
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder(pack((9,))).pow(2).mean().backward()
    optimizer.step()


def load_others(encoder):
    other = tiny_encoder()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.1)
    encoder.load_state_dict(other.state_dict())


def assign_others(encoder):
    state = {name: 1.1 * weight for name, weight in encoder.state_dict().items()}
    encoder.load_state_dict(state, assign=True)


def change_through_data(encoder):
    encoder.layers[1].mlp.Wo.weight.data.mul_(1.5)


def merge_through_data(encoder):
    encoder.layers[1].attn.Wqkv.weight.data = encoder.layers[1].attn.Wqkv.weight.data + 0.05


def replace_a_module(encoder):
    layer = encoder.layers[2].mlp
    layer.Wi = nn.Linear(layer.Wi.in_features, layer.Wi.out_features, bias=False)


def replace_a_layer(encoder):
    encoder.layers[2] = Encoder(encoder.config).layers[2]


def change_an_embedding(encoder):
    encoder.embeddings.tok_embeddings.weight.data[random_documents((70, 3))[0][0], :64] += 1


def change_a_norm(encoder):
    encoder.final_norm.weight.data[7] *= 2


def change_the_config(encoder):
    encoder.config = replace(encoder.config, local_attention=4)


def change_in_inference_mode(encoder):
    with torch.inference_mode():
        encoder.layers[0].attn.Wo.weight.mul_(3)


CHANGES = {
    "an optimizer's step": train_a_step,
    "load_state_dict": load_others,
    "load_state_dict by assignment": assign_others,
    "in place, through .data": change_through_data,
    "other .data": merge_through_data,
    "another module": replace_a_module,
    "another layer": replace_a_layer,
    "one row of the embeddings, through .data": change_an_embedding,
    "one number of a norm, through .data": change_a_norm,
    "in inference mode": change_in_inference_mode,
    "another window in the config": change_the_config,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_weights_are_used_at_once(change):
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        before = encoder(packed).clone()
    change(encoder)
    assert reason(encoder, packed) is None
    with torch.no_grad():
        assert error(encoder(packed), before.double()) > 1e-4
    assert_same_as_torch(encoder, packed)


def test_a_move_to_another_dtype_and_back_is_followed():
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        single = encoder(packed)
        double = encoder.double()(packed)
        assert double.dtype == torch.float64
        assert_fp32(single, double)
        rounded = encoder.bfloat16()(packed)
        assert rounded.dtype == torch.bfloat16
        again = encoder.float()(packed)
    assert error(again, double) > 1e-4, "the weights were rounded on the way"
    assert_same_as_torch(encoder, packed)


def test_unchanged_weights_are_laid_out_once():
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        first = prepacked(encoder, encoder, encoder.config, packed)
        assert first is not None
        assert prepacked(encoder, encoder, encoder.config, pack((5,))) is first
        encoder.layers[1].mlp.Wo.weight.mul_(2)
        assert prepacked(encoder, encoder, encoder.config, packed) is not first


def test_copies_have_weights_of_their_own():
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        before = encoder(packed)
        for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
            assert_exact(other(packed), before)
            other.layers[1].mlp.Wo.weight.mul_(2)
            assert error(other(packed), before.double()) > 1e-4
            assert_exact(encoder(packed), before)


def test_the_layout_goes_with_its_model():
    encoder, packed = tiny_encoder(), pack()
    with torch.no_grad():
        layout = ref(prepacked(encoder, encoder, encoder.config, packed))
    assert layout() is not None
    del encoder
    gc.collect()
    assert layout() is None


@pytest.mark.parametrize("numbers", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("lengths", [(3, 4, 5), (64, 1, 1), (131, 2, 65)], ids=str)
def test_what_is_no_number_stays_in_its_document_in_any_numbers(numbers, lengths):
    encoder = tiny_encoder()
    documents = random_documents(lengths)
    documents[1] = [7] * lengths[1]
    documents[0], documents[2] = ([token if token != 7 else 8 for token in documents[n]] for n in (0, 2))
    packed = Packed.from_lists(documents)
    with torch.no_grad():
        whole = Prepacked(encoder, encoder.config, library(), numbers).encode(packed)
        encoder.embeddings.tok_embeddings.weight[7] = torch.nan
        broken = Prepacked(encoder, encoder.config, library(), numbers).encode(packed)
    for number, (before, after) in enumerate(zip(packed.split(whole), packed.split(broken), strict=True)):
        assert bool(after.isnan().all()) if number == 1 else torch.equal(before, after)
