"""Graphs beside transformers' own modules in float64: every head, every length, padding that lies outside all windows."""

import numpy as np
import pytest
import torch

from modernbert.export.graph import Graph
from modernbert.export.network import Network, write_classifier, write_masked_lm, write_states
from modernbert.model.encoder import Encoder
from modernbert.model.heads import (
    ARCHITECTURES,
    MaskedLM,
    MultipleChoice,
    QuestionAnswerer,
    SequenceClassifier,
    TokenClassifier,
)
from support.close import assert_fp32
from support.tiny import BOUNDARIES, our_twin, padded, random_documents, stock_twin, tiny_config

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def _session(model, precision="float32"):
    graph = Graph(precision)
    encoder = model if isinstance(model, Encoder) else model.model
    network = Network(graph, encoder, prefix="" if isinstance(model, Encoder) else "model.")
    if isinstance(model, Encoder):
        shapes = write_states(network)
    else:
        shapes = (write_masked_lm if isinstance(model, MaskedLM) else write_classifier)(network, model)
    whole = graph.finish(shapes, {})
    onnx.checker.check_model(whole, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session, ids, mask):
    return [
        torch.from_numpy(each) for each in session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    ]


CONFIGS = {
    "plain": tiny_config(),
    "biases, cls, silu, other windows": tiny_config(
        norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True, decoder_bias=False,
        classifier_pooling="cls", hidden_activation="silu", classifier_activation="relu", local_attention=20,
    ),
    "no window at all, untied": tiny_config(global_attn_every_n_layers=1, tie_word_embeddings=False),
    "windows of the token itself": tiny_config(local_attention=0, num_hidden_layers=2),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_states_are_stocks_at_every_length_alone_and_padded(name):
    config = CONFIGS[name]
    stock = stock_twin(config, "ModernBertModel")
    session = _session(our_twin(stock, config))
    batches = [random_documents([length], seed=length) for length in BOUNDARIES]
    batches.append(random_documents([*BOUNDARIES, 300], seed=9))  # short rows whose padding sees nothing at all
    for documents in batches:
        ids, mask = padded(documents)
        truth = stock(input_ids=ids, attention_mask=mask).last_hidden_state
        (found,) = _run(session, ids, mask)
        assert bool(found.isfinite().all()), "what stands at padded places is a number, too"
        assert_fp32(found[mask.bool()], truth[mask.bool()])


KINDS = [MaskedLM, SequenceClassifier, TokenClassifier, QuestionAnswerer, MultipleChoice]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["plain", "biases, cls, silu, other windows"])
def test_heads_are_stocks(kind, name):
    config = CONFIGS[name]
    architecture = next(each for each, found in ARCHITECTURES.items() if found is kind)
    stock = stock_twin(config, architecture)
    ids, mask = padded(random_documents([3, 70, 131], seed=4))
    given = {"input_ids": ids, "attention_mask": mask}
    if kind is MultipleChoice:
        given = {key: value[:, None] for key, value in given.items()}  # each a question of one choice
    truth = stock(**given)
    names = ("start_logits", "end_logits") if kind is QuestionAnswerer else ("logits",)
    for found, each in zip(_run(_session(our_twin(stock, config)), ids, mask), names, strict=True):
        wanted = truth[each]
        if found.shape[:2] == ids.shape:
            found, wanted = found[mask.bool()], wanted[mask.bool()]
        assert_fp32(found, wanted)


def test_a_long_document_has_no_matrix_of_length_by_length_in_its_sliding_layers():
    config = tiny_config(layer_types=("sliding_attention",) * 2, num_hidden_layers=2)
    model = our_twin(stock_twin(config, "ModernBertModel"), config)
    graph = Graph("float32")
    shapes = write_states(Network(graph, model, prefix=""))
    whole = onnx.shape_inference.infer_shapes(graph.finish(shapes, {}), strict_mode=True, data_prop=True)
    softmaxes = [node.input[0] for node in whole.graph.node if node.op_type == "Softmax"]
    shapes = {info.name: info.type.tensor_type.shape.dim for info in whole.graph.value_info}
    assert [shapes[name][-1].dim_value for name in softmaxes] == [3 * 64] * 2


@pytest.mark.parametrize(("precision", "share"), [("float16", 0.51), ("bfloat16", 0.51), ("int8", 0.28)])
def test_fewer_bits_take_less_room_and_stay_near(precision, share):
    config = tiny_config(vocab_size=4096)
    model = our_twin(stock_twin(config, "ModernBertForMaskedLM"), config)
    sizes, outputs = [], []
    ids, mask = padded([[index % 300 for index in range(length)] for length in (5, 90)])
    for each in ("float32", precision):
        graph = Graph(each)
        write_masked_lm(Network(graph, model.model, prefix="model."), model)
        sizes.append(graph.bytes)
        outputs.append(_run(_session(model, each), ids, mask)[0][mask.bool()].numpy())
    assert sizes[1] < share * sizes[0]
    plain, rounded = outputs
    cosine = float((plain * rounded).sum() / np.sqrt((plain**2).sum() * (rounded**2).sum()))
    assert cosine > 0.999
    assert np.abs(plain - rounded).max() > 0
