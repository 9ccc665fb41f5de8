"""The encoder itself: isolation, reach, refusals, precision, and compiling. What it computes is in tests/parity."""

import subprocess
import sys

import pytest
import torch

from modernbert.model.encoder import Encoder
from modernbert.ops.packed import Packed
from support.close import assert_exact, assert_fp32, error
from support.tiny import BOUNDARIES, our_twin, random_documents, stock_twin, tiny_config


def tiny_encoder(**changes):
    config = tiny_config(**changes)
    return our_twin(stock_twin(config, "ModernBertModel"), config)


def test_changing_a_document_changes_no_other(backend):
    """On the reference not one bit; elsewhere at most rounding, since documents share matrix products."""
    encoder = tiny_encoder()
    documents = random_documents([3, 40, 1, 130, 0, 64])
    before = Packed.from_lists(documents)
    documents[3] = random_documents([130], seed=9)[0]
    after = Packed.from_lists(documents)
    with torch.no_grad():
        first, second = (packed.split(encoder(packed, backend=backend)) for packed in (before, after))
    assert error(second[3], first[3].double()) > 0.1
    for number in (0, 1, 2, 4, 5):
        if backend == "reference":
            assert_exact(second[number], first[number])
        else:
            assert_fp32(second[number], first[number].double())


def test_a_document_alone_is_what_it_is_among_neighbours(backend):
    encoder = tiny_encoder()
    documents = random_documents(BOUNDARIES)
    with torch.no_grad():
        together = Packed.from_lists(documents)
        among = together.split(encoder(together, backend=backend))
        for document, hidden in zip(documents, among, strict=True):
            assert_fp32(encoder(Packed.from_lists([document]), backend=backend), hidden.double())


@pytest.mark.parametrize("which", ["reference", "blocked", "auto"])
def test_sliding_layers_reach_their_window_times_their_number(which):
    layers, reach, at = 3, 8, 60
    encoder = tiny_encoder(
        num_hidden_layers=layers, layer_types=("sliding_attention",) * layers, local_attention=2 * reach
    )
    (document,) = random_documents([120])
    with torch.no_grad():
        before = encoder(Packed.from_lists([document]), backend=which)
        document[at] = (document[at] + 1) % 320
        after = encoder(Packed.from_lists([document]), backend=which)
    changed = (before != after).any(1).nonzero().squeeze(1)
    assert (int(changed.min()), int(changed.max())) == (at - layers * reach, at + layers * reach)


def test_a_batch_without_tokens_has_no_hidden_states(backend):
    with torch.no_grad():
        assert tiny_encoder()(Packed.from_lists([[], []]), backend=backend).shape == (0, 128)


def test_an_id_outside_the_vocabulary_is_refused():
    sentence = "token id 320 is outside the vocabulary of 320: is this the tokenizer the model was trained with?"
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        tiny_encoder()(Packed.from_lists([[319, 320]]))
    with pytest.raises(ValueError, match="token id -100 is outside the vocabulary of 320"):
        tiny_encoder()(Packed.from_lists([[319, 320]]).with_ids(torch.tensor([-100, 3])))


def test_bfloat16_is_as_good_as_the_reference_in_bfloat16():
    encoder = tiny_encoder()
    packed = Packed.from_lists(random_documents(BOUNDARIES))
    with torch.no_grad():
        half = encoder.bfloat16()
        found, plain = (half(packed, backend=which) for which in ("blocked", "reference"))
        truth = half.double()(packed, backend="reference")
    assert found.dtype == torch.bfloat16
    ours, theirs = (float((x.double() - truth).abs().mean()) for x in (found, plain))
    assert ours <= 1.2 * theirs  # means, because the largest of thousands of accumulated roundings is a lottery


def test_training_and_evaluation_are_the_same_without_dropout():
    encoder, packed = tiny_encoder(), Packed.from_lists(random_documents([70, 3]))
    with torch.no_grad():
        assert_exact(encoder.train()(packed), encoder.eval()(packed))


def test_inference_mode_changes_nothing():
    encoder, packed = tiny_encoder(), Packed.from_lists(random_documents([70, 3]))
    with torch.inference_mode():
        inferred, by_the_fastest = encoder(packed, backend="blocked"), encoder(packed)
    assert_exact(encoder(packed, backend="blocked").detach(), inferred.clone())
    trained = encoder(packed)
    assert_fp32(by_the_fastest.clone(), trained.double())
    trained.sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in encoder.parameters())


def test_the_pad_tokens_embedding_learns_nothing():
    """Stock leaves its row out of the gradient, and so must a checkpoint that both go on training."""
    encoder = Encoder(tiny_config(pad_token_id=5))
    encoder(Packed.from_lists([[5, 6, 5, 7]])).pow(2).sum().backward()
    touched = encoder.embeddings.tok_embeddings.weight.grad.any(1).nonzero().squeeze(1)
    assert touched.tolist() == [6, 7]


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 130, 300])
def test_the_few_sizes_of_training_change_neither_outputs_nor_gradients(tokens):
    encoder = Encoder(tiny_config()).double()
    packed = Packed.from_lists([[5] * (tokens // 3), [6] * (tokens - tokens // 3)])
    wanted, seen = torch.randn(tokens, encoder.config.hidden_size, dtype=torch.float64), []
    encoder.final_norm.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    found = []
    for is_training in (True, False):
        hidden = encoder.train(is_training)(packed, backend="reference")
        found.append((hidden, *torch.autograd.grad((hidden * wanted).sum(), list(encoder.parameters()))))
    assert seen == [packed.rounded_up().num_tokens, tokens]
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)


COMPILES = """
import torch
from modernbert.model.config import ModelConfig
from modernbert.model.encoder import Encoder, encode
from modernbert.ops.packed import Packed

torch.set_num_threads(1)
torch.manual_seed(0)
config = ModelConfig(
    vocab_size=64, pad_token_id=0, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
)
encoder = Encoder(config).eval()
packed = Packed.from_lists([[1] * 100, [2] * 7, [3] * 7])
eager = encode(encoder, packed, backend="blocked")     # plans the batch, which is not for a graph to do
compiled = torch.compile(encode, backend="aot_eager", fullgraph=True)(encoder, packed, backend="blocked")
wanted = torch.randn_like(eager)
gradients = [torch.autograd.grad((hidden * wanted).sum(), list(encoder.parameters())) for hidden in (eager, compiled)]
torch.testing.assert_close(compiled, eager)
torch.testing.assert_close(gradients[1], gradients[0])
"""


def test_a_planned_batch_compiles_into_one_graph():
    """In a process of its own: the suite's type checks would break the graph, as they never do for a user."""
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", COMPILES], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
