"""Explanations add up, agree with taking words away, and know nothing of how texts are packed."""

import numpy as np
import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.model.encoder import Encoder
from modernbert.model.heads import SequenceClassifier
from modernbert.model.store import fresh
from modernbert.ops.packed import Packed
from modernbert.tasks.attention_maps import attention_maps, draw_attention
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.explain import explain
from modernbert.tasks.explain_view import page, terminal
from modernbert.tasks.prediction import Prediction
from support.small import small_model


def _classifier() -> TextClassifier:
    masked, tokenizer = small_model()
    model = fresh(masked.config, SequenceClassifier, seed=3).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(20)  # so that words matter
    return TextClassifier(model, tokenizer, Prediction())


def test_the_weights_add_up_to_the_difference_of_the_logits():
    classifier = _classifier()
    found = explain(classifier, "The captain counted seven lamps before noon.", steps=64, occlusion=True)
    total = sum(word.weight for word in found.words)
    assert abs(found.logit - found.baseline) > 0.1, "nothing to explain, so nothing was compared"
    assert abs(found.gap) < 0.05 * abs(found.logit - found.baseline)
    assert total == pytest.approx(found.logit - found.baseline, abs=abs(found.gap) + 1e-4)


def test_occlusion_is_the_fall_of_the_logit():
    classifier = _classifier()
    text = "The captain counted lamps."
    found = explain(classifier, text, occlusion=True)
    tokenizer = classifier.tokenizer
    encoded = tokenizer.encode([text], offsets=True)
    target = classifier.model.config.labels.index(found.label)
    for word in found.words:
        ids = [
            tokenizer.mask_id if a < b and a < word.end and b > word.start else token
            for token, (a, b) in zip(encoded.ids[0], encoded.offsets[0], strict=True)
        ]
        with torch.no_grad():
            logit = float(classifier.model(Packed.from_lists([ids]), backend="reference")[0, target])
        assert word.occlusion == pytest.approx(found.logit - logit, abs=1e-4)


def test_a_label_that_is_not_the_likeliest_can_be_asked_about():
    classifier = _classifier()
    one, other = (explain(classifier, "The bell.", label=name) for name in classifier.model.config.labels)
    assert one.score + other.score == pytest.approx(1.0)
    with pytest.raises(UserError, match="label: found 'x', expected one of LABEL_0, LABEL_1"):
        explain(classifier, "The bell.", label="x")
    with pytest.raises(UserError, match="expected 3 to 128: explain a part of it"):
        explain(classifier, "word " * 500)


def test_both_views_hold_the_text():
    classifier = _classifier()
    text = "Ships & <lamps>,\nthe bell"
    found = explain(classifier, text)
    shown = terminal(found)
    for code in ("27", "75", "153", "160", "210", "224"):
        shown = shown.replace(f"\033[38;5;{code}m", "")
    assert shown.replace("\033[0m", "") == text
    assert "&amp;" in page([found])
    assert "<lamps>" not in page([found])


def test_attention_maps_are_what_the_layers_use(tmp_path):
    masked, tokenizer = small_model()
    encoder: Encoder = masked.model
    ids = tokenizer.encode(["the captain counted the ships " * 8]).ids[0]
    maps = attention_maps(encoder, ids)
    assert len(maps) == encoder.config.num_hidden_layers
    for found, kind in zip(maps, encoder.config.layer_kinds, strict=True):
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
        reach = encoder.config.window_reach
        far = torch.ones_like(found[0]).triu(reach + 1).bool()
        assert (found[:, far] == 0).all() == (kind == "sliding_attention" or not far.any())
    path = draw_attention(encoder, tokenizer, "The captain counted ships.", tmp_path / "maps.png")
    assert path.stat().st_size > 5000


def test_who_computes_at_the_same_time_meets_no_hook(monkeypatch):
    classifier = _classifier()
    encoder = classifier.model.model
    (ids,) = classifier.tokenizer.encode(["the captain counted the ships"]).ids
    other = Packed.from_lists([ids[::-1]])
    with torch.no_grad():
        alone = classifier.model(other, backend="blocked")
    meanwhile, forward = [], Encoder.forward

    def interrupted(self, packed, *, backend="auto"):
        if self is not encoder:
            meanwhile.append(classifier.model(other, backend="blocked").detach())
        return forward(self, packed, backend=backend)

    monkeypatch.setattr(Encoder, "forward", interrupted)
    maps = attention_maps(encoder, ids)
    explain(classifier, "The bell.", steps=2)
    assert len(meanwhile) > 2
    assert all(torch.equal(each, alone) for each in meanwhile)
    assert maps[0].shape[-1] == len(ids)
