"""Task models against stock transformers: the same keys both ways, the same outputs, losses and gradients."""

import pytest
import torch
import torch.nn.functional as F

from modernbert.model.heads import ARCHITECTURES, build
from modernbert.ops.packed import Packed
from support.close import assert_exact, assert_fp32, error
from support.tiny import our_twin, padded, random_documents, stock_twin, tiny_config

LENGTHS = (1, 2, 5, 64, 65, 66, 130)
LABELS = ("person", "place", "thing")

TASKS = {
    "ModernBertModel": {},
    "ModernBertForMaskedLM": {},
    "ModernBertForSequenceClassification": {"labels": LABELS},
    "ModernBertForMultipleChoice": {"labels": LABELS},
    "ModernBertForTokenClassification": {"labels": LABELS},
    "ModernBertForQuestionAnswering": {},
}


def test_every_architecture_of_ours_is_compared_here():
    assert TASKS.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("architecture", TASKS)
@pytest.mark.parametrize("biases", [False, True], ids=["no biases", "biases"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_keys_and_shapes_are_stock_ones_both_ways(architecture, biases, tied):
    config = tiny_config(
        tie_word_embeddings=tied, attention_bias=biases, mlp_bias=biases, norm_bias=biases, classifier_bias=biases,
        decoder_bias=not biases, **TASKS[architecture],
    )  # fmt: skip
    theirs = stock_twin(config, architecture)
    ours = ARCHITECTURES[architecture](config)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert shapes(dict(ours.named_parameters())) == shapes(dict(theirs.named_parameters()))


@pytest.mark.parametrize("architecture", TASKS)
def test_a_model_on_meta_has_the_same_names_and_no_memory(architecture):
    kind, config = ARCHITECTURES[architecture], tiny_config(**TASKS[architecture])
    real, meta = build(kind, config), build(kind, config, on_meta=True)
    assert type(real) is type(meta) is kind
    assert shapes(real.state_dict()) == shapes(meta.state_dict())
    assert {parameter.device.type for parameter in meta.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in real.parameters()} == {"cpu"}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
    "variant", [{}, {"classifier_bias": True, "norm_bias": True}, {"classifier_activation": "silu"}]
)
def test_sequence_classification_gives_stock_logits_and_gradients(pooling, variant):
    config = tiny_config(labels=LABELS, classifier_pooling=pooling, **variant)
    stock = stock_twin(config, "ModernBertForSequenceClassification")
    ours = our_twin(stock, config)
    ids, mask = padded(random_documents(LENGTHS))
    labels = torch.arange(len(LENGTHS)) % 3

    stock.zero_grad()
    truth = stock(input_ids=ids, attention_mask=mask, labels=labels)
    truth.loss.backward()
    found = ours(Packed.from_padded(ids, mask))
    assert_fp32(found, truth.logits)
    F.cross_entropy(found, labels).backward()
    for (name, parameter), twin in zip(ours.named_parameters(), stock.parameters(), strict=True):
        assert_fp32(parameter.grad, twin.grad, name=name)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_multiple_choice_gives_stock_logits_and_gradients(pooling):
    config = tiny_config(
        labels=LABELS, classifier_pooling=pooling
    )  # of which stock's head knows nothing: one number a choice
    stock = stock_twin(config, "ModernBertForMultipleChoice")
    ours = our_twin(stock, config)
    ids, mask = padded(random_documents(LENGTHS[:6]))
    labels = torch.tensor([1, 0, 1])
    stock.zero_grad()
    truth = stock(input_ids=ids.view(3, 2, -1), attention_mask=mask.view(3, 2, -1), labels=labels)
    truth.loss.backward()
    found = ours(Packed.from_padded(ids, mask)).view(3, 2)
    assert_fp32(found, truth.logits)
    F.cross_entropy(found, labels).backward()
    for (name, parameter), twin in zip(ours.named_parameters(), stock.parameters(), strict=True):
        assert_fp32(parameter.grad, twin.grad, name=name)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_left_padding_changes_nothing_for_a_sequence_classifier_of_ours(pooling):
    """Stock pools column 0 for "cls", which is a pad in a left-padded row: its answer changes, and ours must not."""
    config = tiny_config(labels=LABELS, classifier_pooling=pooling)
    stock = stock_twin(config, "ModernBertForSequenceClassification")
    ours = our_twin(stock, config)
    right, left = (padded(random_documents(LENGTHS), side) for side in ("right", "left"))
    with torch.no_grad():
        truth = stock(input_ids=right[0], attention_mask=right[1]).logits
        theirs = stock(input_ids=left[0], attention_mask=left[1]).logits
        found = ours(Packed.from_padded(*left))
        assert_exact(found, ours(Packed.from_padded(*right)))
    assert_fp32(found, truth)
    if pooling == "cls":
        assert error(theirs, truth) > 0.1, (
            "stock was repaired: drop this line and the warning in the docstring of `pool`"
        )
    else:
        assert_fp32(theirs, truth, name="stock's mean over a left-padded row")


def test_token_classification_gives_stock_logits():
    config = tiny_config(labels=LABELS, classifier_bias=True)
    stock = stock_twin(config, "ModernBertForTokenClassification")
    ids, mask = padded(random_documents(LENGTHS))
    with torch.no_grad():
        truth = stock(input_ids=ids, attention_mask=mask).logits
        found = our_twin(stock, config)(Packed.from_padded(ids, mask))
    assert found.shape == (sum(LENGTHS), 3)
    assert_fp32(found, truth[mask.bool()])


def test_question_answering_gives_stock_start_and_end_logits():
    config = tiny_config()
    stock = stock_twin(config, "ModernBertForQuestionAnswering")
    ids, mask = padded(random_documents(LENGTHS))
    with torch.no_grad():
        truth = stock(input_ids=ids, attention_mask=mask)
        start, end = our_twin(stock, config).spans(Packed.from_padded(ids, mask))
    assert_fp32(start, truth.start_logits[mask.bool()], name="start")
    assert_fp32(end, truth.end_logits[mask.bool()], name="end")


def test_masked_tokens_can_be_predicted_alone():
    config = tiny_config()
    ours = our_twin(stock_twin(config), config)
    packed = Packed.from_lists(random_documents(LENGTHS))
    at = torch.tensor([0, 3, 70, packed.num_tokens - 1])
    with torch.no_grad():
        everywhere = ours.double()(packed)
        assert_fp32(ours.float()(packed, at), everywhere[at])


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_decoder_reads_the_embedding_when_the_config_ties_them(tied):
    ours = ARCHITECTURES["ModernBertForMaskedLM"](tiny_config(tie_word_embeddings=tied))
    assert (ours.decoder.weight is ours.model.embeddings.tok_embeddings.weight) == tied
    ours.model.embeddings.tok_embeddings.weight = torch.nn.Parameter(torch.ones(320, 128))
    assert ours.decoder.weight is not ours.model.embeddings.tok_embeddings.weight
    ours.tie()
    assert (ours.decoder.weight is ours.model.embeddings.tok_embeddings.weight) == tied


@pytest.mark.parametrize("architecture", ["ModernBertForSequenceClassification", "ModernBertForTokenClassification"])
def test_classifier_dropout_is_heard_in_training_only(architecture):
    config = tiny_config(classifier_dropout=0.5)
    ours = our_twin(stock_twin(config, architecture), config)
    packed = Packed.from_lists(random_documents(LENGTHS))
    with torch.no_grad():
        evaluated = ours(packed)
        assert_exact(ours(packed), evaluated)
        assert error(ours.train()(packed), evaluated.double()) > 0.01


def test_question_answering_refuses_other_than_two_labels():
    with pytest.raises(ValueError, match=r"labels: found 3, expected 2 to answer questions .* change the config"):
        ARCHITECTURES["ModernBertForQuestionAnswering"](tiny_config(labels=LABELS))


def shapes(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
