"""Hidden states, logits, loss and gradients against stock transformers in float64."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modernbert.model.config import ModelConfig
from modernbert.model.encoder import encode
from modernbert.model.hf_config import from_mapping
from modernbert.ops.loss import IGNORE
from modernbert.ops.packed import Packed
from support.close import assert_all_fp32, assert_exact, assert_fp32, error
from support.tiny import (
    BOUNDARIES,
    LOUD,
    VOCABULARY,
    our_twin,
    padded,
    random_documents,
    stock_config,
    stock_twin,
    tiny_config,
)

LENGTHS = (*BOUNDARIES, 1023)
SHORT_LENGTHS = (1, 2, 17, 65, 130, 300)
FULL, SLIDING = "full_attention", "sliding_attention"

VARIANTS = {
    "other thetas": {"global_rope_theta": 80_000.0, "local_rope_theta": 500.0},
    "window of 1": {"local_attention": 2},
    "window of 8": {"local_attention": 16},
    "window of 128": {"local_attention": 256},
    "layers named one by one": {"num_hidden_layers": 5, "layer_types": (SLIDING, FULL, SLIDING, SLIDING, FULL)},
    "all sliding": {"num_hidden_layers": 3, "layer_types": (SLIDING,) * 3},
    "all global": {"num_hidden_layers": 3, "global_attn_every_n_layers": 1},
    "global every 2": {"num_hidden_layers": 5, "global_attn_every_n_layers": 2},
    "eight layers": {"num_hidden_layers": 8},
    "one layer": {"num_hidden_layers": 1},
    "biases": {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True},
    "no decoder bias": {"decoder_bias": False},
    "untied decoder": {"tie_word_embeddings": False},
    "silu": {"hidden_activation": "silu", "classifier_activation": "silu"},
    "relu": {"hidden_activation": "relu", "classifier_activation": "relu"},
    "gelu by tanh": {"hidden_activation": "gelu_pytorch_tanh", "classifier_activation": "gelu_new"},
    "four heads of 32": {"num_attention_heads": 4},
    "three heads of 22": {"hidden_size": 66, "num_attention_heads": 3},
    "large epsilon": {"norm_eps": 0.1},
}


# ---------------------------------------------------------------- hidden states


@pytest.mark.parametrize("loudness", [0.02, LOUD], ids=["fresh weights", "loud weights"])
def test_every_layer_gives_the_stock_hidden_states(backend, loudness):
    config = tiny_config()
    ours = our_twin(stock_twin(config, loudness=loudness), config)
    packed = Packed.from_lists(random_documents(LENGTHS))
    with torch.no_grad(), Streams(ours.model) as found:
        last = ours.model(packed, backend=backend)
    truth = stock_streams(config, LENGTHS, loudness)
    assert len(found) == len(truth) - 1 == config.num_hidden_layers
    for number, (stream, true_stream) in enumerate(zip([*found, last], truth, strict=True), start=1):
        assert_fp32(stream, true_stream, name=f"stream after layer {number}")


def test_weights_too_loud_for_the_tolerance_are_as_exact_as_stock_float32():
    config = tiny_config()
    stock = stock_twin(config, loudness=0.2)
    documents = random_documents(LENGTHS)
    with torch.no_grad():
        truth = by_document(stock.model, documents)
        theirs = by_document(as_stock_ships(stock).model, documents)
        ours = our_twin(stock, config).model(Packed.from_lists(documents))
    assert FP32_IS_NOT_ENOUGH < error(theirs, truth) < 1e-2
    assert error(ours, truth) <= 2 * error(theirs, truth)


FP32_IS_NOT_ENOUGH = 1e-5


@pytest.mark.parametrize(
    "slip",
    [{"local_attention": 126}, {"local_attention": 130}, {"local_rope_theta": 9_900.0}, {"global_rope_theta": 158e3}],
    ids=["window of 63", "window of 65", "local theta", "global theta"],
)
def test_the_comparison_would_see_a_small_slip(slip):
    config = tiny_config()
    slipped = our_twin(stock_twin(config), replace(config, **slip))
    with torch.no_grad():
        hidden = slipped.model(Packed.from_lists(random_documents(LENGTHS)))
    assert error(hidden, stock_streams(config, LENGTHS, LOUD)[-1]) > 1e-4


def test_8192_tokens_are_encoded_as_stock_does():
    config = tiny_config(num_hidden_layers=2, hidden_size=32, intermediate_size=32, num_attention_heads=1)
    stock = stock_twin(config, "ModernBertModel", loudness=0.2)  # as loud for so narrow a model as LOUD for the others
    documents = random_documents([8192])
    with torch.no_grad():
        hidden = our_twin(stock, config)(Packed.from_lists(documents))
        assert_fp32(hidden, by_document(stock, documents))


# ---------------------------------------------------------------- logits, loss, gradients


@pytest.mark.parametrize("backend", ["reference", "blocked"])
def test_packed_documents_give_the_stock_logits_loss_and_gradients(backend):
    compare_training(tiny_config(), LENGTHS, backend)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_shape_gives_the_stock_logits_loss_and_gradients(variant):
    compare_training(tiny_config(**VARIANTS[variant]), SHORT_LENGTHS, "auto")


@pytest.mark.parametrize("form", ["right padding", "left padding", "holes", "long holes", "no mask"])
def test_a_padded_batch_gives_the_stock_logits_loss_and_gradients(form):
    ids, mask = padded_batch(form)
    config = tiny_config()
    packed = Packed.from_padded(ids, None if form == "no mask" else mask)
    assert packed.has_holes == ("holes" in form)
    labels = random_labels(ids.numel()).view(ids.shape).where(mask.bool(), IGNORE)

    stock = stock_twin(config)
    stock.zero_grad()
    answer = stock(input_ids=ids, attention_mask=mask, labels=labels)
    loss = F.cross_entropy(answer.logits.flatten(0, 1), labels.flatten())
    loss.backward()

    ours = our_twin(stock, config)
    logits = packed.to_padded(ours(packed))
    assert_fp32(logits[mask.bool()], answer.logits[mask.bool()], name="logits")
    found = ours.loss(packed, labels.flatten()[packed.places]).loss
    found.backward()
    assert_fp32(found, loss, name="loss")
    assert_fp32(found, answer.loss.double(), name="the loss that stock says")
    assert_gradients(ours, stock)

    shipped = as_stock_ships(stock)(input_ids=ids, attention_mask=mask, labels=labels)
    assert_fp32(shipped.logits[mask.bool()], answer.logits[mask.bool()], name="stock's own float32")


def test_the_three_ways_to_hand_documents_over_give_the_same_bits():
    config = tiny_config()
    ours = our_twin(stock_twin(config), config)
    documents = random_documents(BOUNDARIES)
    ways = [
        Packed.from_lists(documents),
        Packed.from_padded(*padded(documents, "right")),
        Packed.from_padded(*padded(documents, "left")),
    ]
    with torch.no_grad():
        first, *others = [ours(packed) for packed in ways]
    for other in others:
        assert_exact(other, first)


@pytest.mark.parametrize("generation", ["old", "new"])
def test_a_config_of_either_generation_means_the_same_to_us_and_to_stock(generation):
    config = tiny_config(
        num_hidden_layers=5, global_attn_every_n_layers=2, local_attention=16,
        global_rope_theta=80_000.0, local_rope_theta=500.0,
    )  # fmt: skip
    written = stock_config(config, generation=generation).to_dict()
    if generation == "old":  # as 4.48 to 5.0 wrote it: transformers itself drops these words when it reads them
        written.pop("rope_parameters")
        written.pop("layer_types")
        written |= {"global_rope_theta": 80_000.0, "local_rope_theta": 500.0, "global_attn_every_n_layers": 2}
    read = from_mapping(written)
    stock = stock_twin(config, generation=generation)
    documents = random_documents(SHORT_LENGTHS)
    with torch.no_grad():
        assert_fp32(our_twin(stock, read).model(Packed.from_lists(documents)), by_document(stock.model, documents))


# ---------------------------------------------------------------- `encode` on stock modules


def test_stock_modules_are_encoded_like_ours(backend):
    config = tiny_config()
    stock = deepcopy(stock_twin(config)).float()
    packed = Packed.from_lists(random_documents(BOUNDARIES))
    with torch.no_grad():
        assert_exact(
            encode(stock.model, packed, backend=backend), our_twin(stock, config).model(packed, backend=backend)
        )


def test_stock_modules_in_training_drop_and_in_evaluation_do_not():
    config = tiny_config(attention_dropout=0.3, mlp_dropout=0.3, embedding_dropout=0.3)
    stock = deepcopy(stock_twin(config)).float()
    packed = Packed.from_lists(random_documents(BOUNDARIES))
    with torch.no_grad():
        evaluated = encode(stock.eval().model, packed)
        trained, again = (encode(stock.train().model, packed) for _ in range(2))
        assert_exact(encode(stock.eval().model, packed), evaluated)
    assert error(trained, again.double()) > 0.1
    assert error(trained, evaluated.double()) > 0.1


@pytest.mark.parametrize("dropout", ["attention_dropout", "mlp_dropout", "embedding_dropout"])
def test_each_dropout_of_the_config_is_heard_in_training(dropout):
    config = tiny_config(**{dropout: 0.3})
    ours = our_twin(stock_twin(config), config)
    packed = Packed.from_lists(random_documents([40, 200]))
    with torch.no_grad():
        assert error(ours.train()(packed), ours.eval()(packed).double()) > 0.01


def test_attention_dropout_drops_weights_and_outputs():
    """Two places have this one rate; with the second silenced, the first must still be heard."""
    config = tiny_config(attention_dropout=0.3)
    ours = our_twin(stock_twin(config), config).train()
    packed = Packed.from_lists(random_documents([40, 200]))
    rates = [layer.attn.out_drop.p for layer in ours.model.layers]
    assert rates == [0.3] * config.num_hidden_layers
    calls = []
    for layer in ours.model.layers:
        layer.attn.out_drop.p = 0.0
        layer.attn.out_drop.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        assert error(ours.model(packed), ours.model(packed).double()) > 0.01
    assert len(calls) == 2 * config.num_hidden_layers


def test_a_layer_that_somebody_wrapped_is_called():
    config = tiny_config()
    stock = deepcopy(stock_twin(config))
    documents = random_documents(SHORT_LENGTHS)
    packed = Packed.from_lists(documents)
    with torch.no_grad():
        before = encode(stock.model, packed)
        for layer in stock.model.layers:
            layer.attn.Wqkv = LowRank(layer.attn.Wqkv)
            layer.mlp.Wo = LowRank(layer.mlp.Wo)
        after = encode(stock.model, packed)
        assert error(after, before) > 0.01
        assert_fp32(after, by_document(stock.model, documents))


def test_a_hook_on_a_layer_fires_and_is_honoured():
    config = tiny_config()
    stock = deepcopy(stock_twin(config))
    documents = random_documents(SHORT_LENGTHS)
    packed = Packed.from_lists(documents)
    stock.model.layers[1].attn.Wo.register_forward_hook(lambda module, inputs, output: 1.5 * output)
    with torch.no_grad():
        found = encode(stock.model, packed)
        assert_fp32(found, by_document(stock.model, documents))
        assert error(found, encode(stock_twin(config).model, packed)) > 0.01


# ---------------------------------------------------------------- the two sides


def compare_training(config: ModelConfig, lengths: Sequence[int], backend: str) -> None:
    documents = random_documents(lengths)
    packed = Packed.from_lists(documents)
    labels = random_labels(packed.num_tokens)

    stock = stock_twin(config)
    stock.zero_grad()
    logits = by_document(stock, documents)
    loss = F.cross_entropy(logits, labels)
    loss.backward()

    ours = our_twin(stock, config)
    assert_fp32(ours(packed, backend=backend).detach(), logits.detach(), name="logits")
    found = ours.loss(packed, labels, backend=backend)
    found.loss.backward()
    assert found.num_predicted == int((labels != IGNORE).sum())
    assert_fp32(found.loss, loss, name="loss")
    assert_gradients(ours, stock)


def assert_gradients(ours: nn.Module, stock: nn.Module) -> None:
    """Every parameter's, measured in units of the largest: a mean loss has gradients far below 1."""
    truth = {name: parameter.grad for name, parameter in stock.named_parameters()}
    unit = max(float(grad.abs().max()) for grad in truth.values())
    assert_all_fp32(
        {name: parameter.grad.double() / unit for name, parameter in ours.named_parameters()},
        {name: grad / unit for name, grad in truth.items()},
    )


def by_document(run: Callable[..., object], documents: Sequence[Sequence[int]]) -> Tensor:
    """Stock, one document after the other: no padding, no neighbours."""
    return torch.cat([run(input_ids=torch.tensor([document]))[0][0] for document in documents])


@lru_cache(maxsize=2)
def stock_streams(config: ModelConfig, lengths: Sequence[int], loudness: float) -> list[Tensor]:
    """The stream after every layer, then the final hidden states."""
    modules = stock_twin(config, loudness=loudness).model
    documents = []
    with torch.no_grad():
        for document in random_documents(lengths):
            with Streams(modules) as streams:
                last = modules(input_ids=torch.tensor([document])).last_hidden_state
            documents.append([stream[0] for stream in (*streams, last)])
    return [torch.cat(parts) for parts in zip(*documents, strict=True)]


def as_stock_ships(stock: nn.Module) -> nn.Module:
    """A copy in float32, with stock's own eager attention."""
    shipped = deepcopy(stock).float()
    shipped.set_attn_implementation("eager")
    return shipped


class Streams(list[Tensor]):
    """Listens to what enters each layer after the first, and the final norm: the stream after every layer."""

    def __init__(self, modules: nn.Module) -> None:
        self.listened = [*(layer.attn_norm for layer in modules.layers[1:]), modules.final_norm]

    def __enter__(self):
        self.handles = [norm.register_forward_pre_hook(self.hear) for norm in self.listened]
        return self

    def hear(self, module: nn.Module, inputs: tuple[Tensor]) -> None:
        self.append(inputs[0])

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


class LowRank(nn.Module):
    """What LoRA puts in the place of a linear layer."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, rank, bias=False).to(base.weight.dtype)
        self.up = nn.Linear(rank, base.out_features, bias=False).to(base.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


def random_labels(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, VOCABULARY, (count,), generator=generator)
    return labels.where(torch.rand(count, generator=generator) < 0.3, IGNORE)


def padded_batch(form: str) -> tuple[Tensor, Tensor]:
    if form == "no mask":
        return padded(random_documents([130, 130]))
    if form in ("right padding", "left padding"):
        return padded(random_documents(BOUNDARIES), form.split()[0])
    ids, mask = padded(random_documents([130] * 4 + [5, 64, 100]))
    if form == "holes":
        mask &= (torch.rand(mask.shape, generator=torch.Generator().manual_seed(2)) < 0.7).long()
    else:
        mask[0, 20:90] = 0  # wider than the window: the two ends of this document never meet in a sliding layer
        mask[1, :40] = 0
        mask[2, 1:129] = 0
    return ids, mask
