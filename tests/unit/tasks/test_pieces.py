"""Long texts in pieces, many texts in order, labels nobody trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from modernbert.core.errors import CheckpointError, UserError
from modernbert.model.config import ModelConfig
from modernbert.model.heads import SequenceClassifier, TokenClassifier
from modernbert.model.store import fresh
from modernbert.ops.packed import Packed
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.prediction import Prediction
from modernbert.tasks.tag import Tagger
from modernbert.tasks.zero_shot import ZeroShot
from support.small import small_model


def _config(**changes) -> ModelConfig:
    return replace(small_model()[0].config, **changes)


def test_a_text_in_one_piece_is_what_the_model_says_and_order_is_kept():
    _, tokenizer = small_model()
    model = fresh(_config(labels=("a", "b", "c")), SequenceClassifier, seed=1).eval()
    classifier = TextClassifier(model, tokenizer, Prediction(temperature=2.0))
    texts = [f"text {'word ' * (i * 7 % 40)}{i}" for i in range(300)]
    found = classifier.predict(texts)
    for place in (0, 17, 299):
        ids = tokenizer.encode([texts[place]]).ids
        expected = (model(Packed.from_lists(ids), backend="reference")[0] / 2).softmax(-1)
        assert [found[place].scores[name] for name in "abc"] == pytest.approx(expected.tolist(), abs=1e-5)
        assert found[place].num_pieces == 1


def test_a_longer_text_is_read_in_pieces_of_one_size_and_averaged():
    _, tokenizer = small_model()
    model = fresh(_config(labels=("a", "b")), SequenceClassifier, seed=1).eval()
    classifier = TextClassifier(model, tokenizer, Prediction(max_length=64))
    text = "the captain counted ships " * 60
    (found,) = classifier.predict([text])
    ids = tokenizer.encode([text], special=False).ids[0]
    assert found.num_pieces == -(-len(ids) // 62)
    size = -(-len(ids) // found.num_pieces)
    pieces = [ids[i : i + size] for i in range(0, len(ids), size)]
    logits = [classifier.logits(Packed.from_lists([tokenizer.enclose(piece)]))[0] for piece in pieces]
    expected = classifier.probabilities(torch.tensor(np.average(logits, axis=0, weights=list(map(len, pieces)))))
    assert [found.scores[name] for name in "ab"] == pytest.approx(expected.tolist(), abs=1e-5)


def test_words_behind_the_first_piece_are_tagged_too():
    _, tokenizer = small_model()
    model = fresh(_config(labels=("O", "B-X", "I-X")), TokenClassifier, seed=1).eval()
    tagger = Tagger(model, tokenizer, Prediction(max_length=40))
    words = ["captain", "Éclair", "ships"] * 30
    (found,) = tagger.predict([words])
    assert found.words == tuple(words)
    assert len(found.tags) == 90
    assert all(score > 0 for score in found.scores)
    for entity in found.entities:
        assert found.text[entity.start : entity.end] == entity.text


def test_labels_of_one_blank_and_of_two_are_compared():
    model, tokenizer = small_model()
    found = ZeroShot(model, tokenizer).predict(["the ships", "a [MASK] bell"], ["captain", "the northern light", "fog"])
    for each in found:
        assert sum(each.scores.values()) == pytest.approx(1.0)
        assert set(each.scores) == {"captain", "the northern light", "fog"}
    assert len({round(score, 9) for score in found[0].scores.values()}) == 3
    alone = ZeroShot(model, tokenizer).predict(["the ships"], ["fog", "captain"])
    ratio = [each.scores["fog"] / each.scores["captain"] for each in (found[0], alone[0])]
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-4)


def test_a_model_of_inference_is_asked_whether_the_text_entails_the_label():
    _, tokenizer = small_model()
    model = fresh(_config(labels=("entailment", "neutral", "contradiction")), SequenceClassifier, seed=1).eval()
    zero_shot = ZeroShot(model, tokenizer)
    (found,) = zero_shot.predict(["ships"], ["sea", "land"], several=True)
    for label in ("sea", "land"):
        (ids,) = tokenizer.encode(["ships"], [f"This text is about {label}."]).ids
        logits = model(Packed.from_lists([ids]), backend="reference")[0].detach()
        expected = 1 / (1 + np.exp(-float(logits[0] - logits[2])))
        assert found.scores[label] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(CheckpointError, match="expected one that begins with 'entail'"):
        ZeroShot(fresh(_config(labels=("a", "b")), SequenceClassifier), tokenizer)
    with pytest.raises(UserError, match="expected two different ones or more"):
        zero_shot.predict(["ships"], ["sea", "sea"])
    with pytest.raises(UserError, match=r"expected a sentence with one \{\}"):
        zero_shot.predict(["ships"], ["sea", "land"], template="about")


def test_texts_and_pairs_are_not_mixed():
    _, tokenizer = small_model()
    classifier = TextClassifier(fresh(_config(), SequenceClassifier).eval(), tokenizer, Prediction())
    with pytest.raises(UserError, match="found texts and pairs mixed"):
        classifier.predict([("a", "b"), "c"])
    with pytest.raises(TypeError, match=r"write predict\(\[text\]\)"):
        classifier.predict("a")


def test_a_broken_prediction_file_is_told(tmp_path):
    (tmp_path / "prediction.json").write_text('{"temperature": 0}')
    with pytest.raises(CheckpointError, match="temperature is 0"):
        Prediction.load(tmp_path)
    saved = Prediction(task="qa", temperature=1.5, max_length=64, doc_stride=9)
    saved.save(tmp_path)
    assert Prediction.load(tmp_path) == saved
